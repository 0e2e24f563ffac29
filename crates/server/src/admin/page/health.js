// Which document serves, how the last reload went, and whether the process is ready.

import { Failure, read } from "./api.js";
import { copier, el, facts, fill, note, section, table, tag } from "./dom.js";
import { time } from "./format.js";
import { document_ } from "./policy.js";

export const title = "Reloads and health";
export const short = "Health";
export const purpose = "The document that serves, and the last attempt to replace it.";

const EVERY = 5_000;

/** Shows the state, and keeps it fresh. */
export async function show({ body, signal }) {
  const state = el("div", {});
  const [first, config] = await Promise.all([reading(signal), document_(signal)]);
  fill(body, state, served(config));
  draw(state, first);
  const timer = setInterval(async () => {
    if (document.hidden || state.contains(document.activeElement)) return;
    const fresh = await reading(signal).catch(() => undefined);
    if (fresh && !signal.aborted) draw(state, fresh);
  }, EVERY);
  signal.addEventListener("abort", () => clearInterval(timer));
}

async function reading(signal) {
  const [hash, isReady] = await Promise.all([read("/config/hash", {}, signal), ready(signal)]);
  return { hash, isReady };
}

async function ready(signal) {
  try {
    await read("/ready", {}, signal);
    return true;
  } catch (error) {
    if (error instanceof Failure && error.status === 503) return false;
    throw error;
  }
}

function draw(state, { hash, isReady }) {
  const reload = hash.last_reload ?? {};
  const problems = reload.problems ?? [];
  fill(state,
    section("Now", facts([
      ["Ready", isReady ? tag("good", "yes") : tag("bad", "no: starting or draining")],
      ["Generation", String(hash.generation)],
      ["Hash", el("code", { class: "wrap" }, hash.hash)],
      ["Last reload", [reload.outcome === "rejected" ? tag("bad", "refused") : tag("good", reload.outcome ?? "–"), " at ", time(reload.at)]],
    ]), el("p", { class: "aside" }, "Replicas that serve the same document have the same hash.")),
    problems.length > 0 && section("Why the last reload was refused", rejected(problems)),
    reload.outcome === "rejected" && problems.length === 0 && section("Why the last reload was refused", note(reload.reason ?? reload.error ?? "The file could not be read.")));
}

function rejected(problems) {
  return table("Problems of the refused document", [
    { title: "Line", number: true, head: true, cell: (problem) => place(problem) },
    { title: "Severity", cell: (problem) => problem.severity ?? "error" },
    { title: "Path", cell: (problem) => el("code", { class: "wrap" }, problem.path ?? "") },
    { title: "Problem", cell: (problem) => problem.message ?? String(problem) },
  ], problems);
}

function place(problem) {
  const line = problem.line ?? problem.location?.line;
  const column = problem.column ?? problem.location?.column;
  if (line === undefined || line === null) return "–";
  return column === undefined || column === null ? String(line) : `${line}:${column}`;
}

function served(config) {
  const text = JSON.stringify(config, null, 2);
  return section("The document that serves", el("p", {}, "Secrets are hidden."), el("div", { class: "actions" }, copier("Copy", () => text)),
    el("details", {}, el("summary", {}, "Show it"), el("pre", {}, el("code", {}, text))));
}
