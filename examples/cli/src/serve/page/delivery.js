// Gets one turn through to the model: tries again where trying again helps, and says meanwhile what it waits for.

import * as api from "./api.js";
import { askKey } from "./key.js";
import { countdown, sleep } from "./wait.js";

const QUIET_TRIES = 4;

/** A conversation that fills the model's context forgets its oldest messages, and goes on. */
const lasting = { truncate: true };
/** A regenerated answer should differ from the one before. */
const anew = () => ({ ...lasting, seed: crypto.getRandomValues(new Uint32Array(1))[0] >>> 1, temperature: 0.8 });

/** One request, its events shown as they come. */
async function attempt(conversation, turn, signal) {
  const session = await conversation.openSession(signal);
  const body = turn.again ? { session, regenerate: true, options: anew() } : { session, text: turn.text, options: lasting };
  turn.session = session;
  for await (const { name, data } of api.turn(body, signal)) {
    if (name === "queued" && data.ahead > 0) turn.view.waiting("waitQueue", { ahead: data.ahead });
    if (name === "sentiment") {
      turn.heard = true;
      turn.view.typing();
      conversation.found(turn, data);
    }
    if (name === "piece") {
      turn.reply += data.text;
      turn.view.piece(data.text);
    }
    if (name === "done") {
      turn.reply = data.reply.text;
      turn.stopReason = data.reply.stop_reason;
      conversation.found(turn, data.sentiment);
    }
  }
}

/** Waits until another attempt has a chance, or throws the failure. */
async function remedy(failure, conversation, server, turn, tries, signal) {
  if (failure instanceof api.Unreachable) server.lost();
  if (!(failure instanceof api.Problem) || turn.heard) throw failure;
  if (failure.status === 401 && (await askKey())) return;
  if (failure.code === "LOADING") {
    turn.view.waiting("waitLoading");
    server.notReady();
    return server.ready(signal);
  }
  if (failure.status === 404 && !turn.moved) {
    turn.moved = true;
    return conversation.forgotten(turn);
  }
  if (failure.status === 409) {
    // Right after a stop the server may not have noticed yet; only what lasts is worth a word.
    if (tries >= QUIET_TRIES) turn.view.waiting("waitElsewhere");
    return sleep(tries < QUIET_TRIES ? 250 : 1000, signal);
  }
  if (failure.status === 429 || failure.status === 503) {
    const tell = (seconds) => turn.view.waiting("waitRetry", { seconds });
    return countdown(Math.max(1, failure.retryAfter ?? 3), tell, signal);
  }
  throw failure;
}

/** Ends when the answer is whole; throws what no waiting helps against. */
export async function deliver(conversation, server, turn, signal) {
  turn.heard = turn.moved = false;
  for (let tries = 0; ; tries++) {
    try {
      if (server.state !== "ready") {
        turn.view.waiting(server.state === "offline" ? "offline" : "waitLoading");
        await server.ready(signal);
        turn.view.typing();
      }
      return await attempt(conversation, turn, signal);
    } catch (failure) {
      if (signal.aborted) throw failure;
      await remedy(failure, conversation, server, turn, tries, signal);
      turn.view.typing();
    }
  }
}
