// Brings back what the server remembers: the conversation after a reload, a turn after a broken connection.

import * as api from "./api.js";
import { askKey } from "./key.js";
import { kept } from "./store.js";
import { sleep } from "./wait.js";

const POLL = { first: 100, last: 1000 };

async function read(id, signal) {
  try {
    return await api.readSession(id, signal);
  } catch (error) {
    if (error.status === 401 && (await askKey())) return read(id, signal);
    throw error;
  }
}

/** The messages as turns: each of the user's with the answer after it. */
function turnsOf(messages) {
  const turns = [];
  for (const message of messages) {
    if (message.role === "user") turns.push({ text: message.content, sentiment: message.sentiment, reply: "" });
    const last = turns.at(-1);
    if (message.role !== "assistant" || !last) continue;
    Object.assign(last, { reply: message.content, stopReason: message.stop_reason, answered: true });
  }
  return turns;
}

/** What the server knows of a session, once nothing runs in it. */
export async function settled(id, signal) {
  for (let pause = POLL.first; ; pause = Math.min(pause * 2, POLL.last)) {
    const session = await read(id, signal);
    if (!session.busy) return session;
    await sleep(pause, signal);
  }
}

function take(turn, known) {
  Object.assign(turn, { reply: known.reply, stopReason: known.stopReason, heard: true, doubtful: false, again: false });
}

/** Whether `turn`, of which the server's answer was not seen whole, is in the session; takes it from there. */
export async function recover(conversation, turn, signal) {
  if (!conversation.session || turn.session !== conversation.session) return false;
  try {
    const { messages } = await settled(turn.session, signal);
    const before = conversation.turns.filter((other) => other !== turn && other.heard && other.session === turn.session);
    const known = turnsOf(messages)[before.length];
    if (known?.text !== turn.text || !known.answered) return false;
    take(turn, known);
    conversation.found(turn, known.sentiment);
    return true;
  } catch (error) {
    if (error instanceof api.Problem) return false;
    throw error;
  }
}

/** The outcome of `act`, as soon as the server can be reached. */
async function insist(server, act) {
  for (;;) {
    await server.ready();
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof api.Unreachable)) throw error;
      server.lost();
    }
  }
}

/** Shows the session of the last visit; calls `lost` when the server does not know it any more. */
export async function restore(conversation, server, lost) {
  const id = conversation.session;
  if (!id) return;
  let session;
  try {
    session = await insist(server, () => read(id));
  } catch (error) {
    if (error.status !== 404) throw error;
    if (conversation.session === id) conversation.session = null;
    kept.remove("session");
    return lost();
  }
  if (conversation.session !== id) return; // a new conversation was begun meanwhile
  const shown = turnsOf(session.messages).reverse().map((known) => {
    const turn = conversation.add(known.text, true);
    Object.assign(turn, { session: id });
    take(turn, known);
    if (known.sentiment) conversation.found(turn, known.sentiment);
    if (!session.busy || turn !== conversation.turns.at(-1)) turn.view.finish(turn.reply, turn.stopReason);
    return turn;
  });
  if (session.busy && shown[0]) follow(conversation, server, shown[0], id);
}

/** An answer runs on the server that this page did not ask for: shows it when it is whole. */
async function follow(conversation, server, turn, id) {
  turn.view.typing();
  const { messages } = await insist(server, () => settled(id));
  const known = turnsOf(messages).findLast((other) => other.text === turn.text);
  if (known) take(turn, known);
  if (known?.sentiment) conversation.found(turn, known.sentiment);
  turn.view.finish(turn.reply, turn.stopReason);
}
