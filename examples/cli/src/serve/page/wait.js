// Waiting that can be called off.

/** Ends after `ms`, or fails as soon as `signal` is aborted. */
export function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Calls `tell` with each second that is left. */
export async function countdown(seconds, tell, signal) {
  for (let left = seconds; left > 0; left--) {
    tell(left);
    await sleep(1000, signal);
  }
}

/** The next `name` event of `target`. */
export function next(target, name, signal) {
  return new Promise((resolve, reject) => {
    target.addEventListener(name, resolve, { once: true, signal });
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
