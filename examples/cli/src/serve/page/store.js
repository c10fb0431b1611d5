// What outlives a reload. A browser may forbid storage; the page works without.

function box(storage) {
  const guarded = (act) => {
    try {
      return act(globalThis[storage]);
    } catch {
      return null;
    }
  };
  return {
    get: (key) => guarded((at) => at.getItem(`qaio.${key}`)),
    set: (key, value) => guarded((at) => at.setItem(`qaio.${key}`, value)),
    remove: (key) => guarded((at) => at.removeItem(`qaio.${key}`)),
  };
}

/** For this browser: session, language, theme. */
export const kept = box("localStorage");

/** For this tab: draft, key of the server. */
export const tab = box("sessionStorage");
