// The server's HTTP API. It throws `Problem` for what the server refuses and `Unreachable` when no answer comes.

import { events } from "./events.js";
import { tab } from "./store.js";

export class Problem extends Error {
  constructor({ status = 500, code = "UNKNOWN", detail = "", title = "" }, retryAfter = null) {
    super(detail || title || code);
    Object.assign(this, { status, code, retryAfter });
  }
}

export class Unreachable extends Error {}

async function problemOf(response) {
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const body = await response.json().catch(() => ({}));
  const fallback = { status: response.status, title: `${response.status} ${response.statusText}` };
  return new Problem({ ...fallback, ...body }, Number.isFinite(seconds) ? seconds : null);
}

async function request(method, path, body, signal) {
  const headers = {};
  const key = tab.get("key");
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, signal, cache: "no-store", body: body && JSON.stringify(body) });
  } catch (error) {
    throw signal?.aborted ? error : new Unreachable(error.message);
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

const session = (id) => `/api/sessions/${encodeURIComponent(id)}`;

export const isAlive = () => request("GET", "/healthz");
export const isReady = () => request("GET", "/readyz");
export const info = async () => (await request("GET", "/api/info")).json();
export const openSession = async (signal) => (await (await request("POST", "/api/sessions", {}, signal)).json()).id;
export const readSession = async (id, signal) => (await request("GET", session(id), null, signal)).json();
export const closeSession = (id) => request("DELETE", session(id));

/** The events of a turn, as `{name, data}`, until `done`. */
export async function* turn(body, signal) {
  const response = await request("POST", "/api/turn", { ...body, stream: true }, signal);
  let ended = false;
  try {
    for await (const { name, data } of events(response.body)) {
      if (name === "error") throw new Problem(data);
      ended ||= name === "done";
      yield { name, data };
    }
  } catch (error) {
    throw error instanceof Problem || signal.aborted ? error : new Unreachable(error.message);
  }
  if (!ended) throw new Unreachable("the stream ended early");
}
