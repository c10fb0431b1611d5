// Takes a conversation out of the page: an answer to the clipboard, all of it to a file.

import { make, setIcon } from "./dom.js";
import { label } from "./say.js";
import { toast } from "./toast.js";

/** Without HTTPS a browser has no clipboard interface, only the old command. */
function copyTheOldWay(text) {
  const field = make("textarea", { class: "unseen", "aria-hidden": "true" });
  field.value = text;
  document.body.append(field);
  field.select();
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    field.remove();
  }
}

export async function copyReply(turn, button) {
  const copied = await navigator.clipboard?.writeText(turn.reply).then(() => true, () => false);
  const done = copied || copyTheOldWay(turn.reply);
  button.focus();
  if (!done) {
    turn.view.select();
    return toast("copyByHand");
  }
  setIcon(button, "done");
  label(button, "copied");
  toast("copied", null, 2000);
  setTimeout(() => {
    setIcon(button, "copy");
    label(button, "copy");
  }, 2000);
}

/** The conversation as data, for other programs. */
export function conversationAsJson({ turns, session }, info) {
  const messages = turns.flatMap((turn) => {
    const user = { role: "user", content: turn.text, sentiment: turn.sentiment };
    const answer = { role: "assistant", content: turn.reply, stop_reason: turn.stopReason };
    return turn.reply ? [user, answer] : [user];
  });
  return { exported: new Date().toISOString(), version: info?.version, model: info?.model, session, messages };
}

export function download(data) {
  const blob = new Blob([`${JSON.stringify(data, null, 2)}\n`], { type: "application/json" });
  const link = make("a", { href: URL.createObjectURL(blob) });
  link.download = `qaio-${data.exported.slice(0, 19).replaceAll(":", "-")}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
