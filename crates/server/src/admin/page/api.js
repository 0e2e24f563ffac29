// The admin API: requests with the token, and what an error means.

const TOKEN = "merit-token";

/** An answer that is no success. `status` is 0 where nobody answered. */
export class Failure extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The token that the API asked for; empty if there is none yet. */
export function token() {
  return sessionStorage.getItem(TOKEN) ?? "";
}

/** Keeps the token for as long as this tab is open. */
export function keepToken(text) {
  if (text) sessionStorage.setItem(TOKEN, text);
  else sessionStorage.removeItem(TOKEN);
}

/** Reads JSON. `parameters` that are empty are left out. */
export function read(path, parameters = {}, signal = undefined) {
  const kept = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "");
  const query = new URLSearchParams(kept).toString();
  return ask(query ? `${path}?${query}` : path, { signal });
}

/** Sends text or an object, and reads JSON. */
export function send(path, body, type = "application/json") {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return ask(path, { method: "POST", body: text, headers: { "content-type": type } });
}

async function ask(path, options) {
  const headers = { accept: "application/json", ...options.headers };
  if (token()) headers.authorization = `Bearer ${token()}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers, credentials: "omit", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "UNREACHABLE", "Merit does not answer. It may be starting again; this page goes on trying where it polls.");
  }
  const answer = await response.json().catch(() => undefined);
  if (response.ok && answer !== undefined) return answer;
  const error = answer?.error ?? {};
  throw new Failure(response.status, error.code ?? "", error.message ?? `Merit answered ${response.status}.`);
}

/** Reads JSON, or returns `undefined` where this Merit does not have or keep it. */
export async function readIfThere(path, parameters, signal) {
  try {
    return await read(path, parameters, signal);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** Tells whether a failure means that the thing is switched off, rather than broken. */
export function isAbsent(error) {
  return error instanceof Failure && [404, 501, 503].includes(error.status);
}
