// Records of requests: where they come from, and what one says.

import { readIfThere } from "./api.js";
import { el, facts, link, note, section, table, tag } from "./dom.js";
import { count, figure, milliseconds, money, time } from "./format.js";

const PATH = "/v1/router_replay";

/** A page of records, newest first; `undefined` where records are off. */
export function list(parameters, signal) {
  return readIfThere(PATH, parameters, signal);
}

/** One record by its own id; `undefined` where there is no such one. */
export function one(id) {
  return readIfThere(`${PATH}/${encodeURIComponent(id)}`);
}

/** Sums over all records that a filter takes; `undefined` where records are off. */
export function aggregate(parameters, signal) {
  return readIfThere(`${PATH}/aggregate`, parameters, signal);
}

/** What to do where records are off. */
export function off() {
  return el("div", { class: "off" },
    el("p", {}, el("b", {}, "Records are off, "), "so Merit does not remember requests. To keep the last 10,000 of each decision in memory, without any text of prompts, add to the document:"),
    el("pre", {}, el("code", {}, "global:\n  services:\n    router_replay:\n      enabled: true")));
}

/** How a request ended, in a word. */
export function ending(record) {
  const status = record.response_status;
  const state = record.lifecycle_state ?? "unknown";
  if (status >= 400 || state === "failed") return tag("bad", status ? `${status}` : "failed");
  if (state === "aborted") return tag("odd", "cut off");
  if (state === "in_progress") return tag("quiet", "under way");
  return tag("good", status ? String(status) : state.replace("_", " "));
}

/** What did not work as configured, if anything. */
export function degraded(record) {
  const list = record.degraded ?? Object.keys(record.route_diagnostics?.signal_errors ?? {});
  return list.map((entry) => (typeof entry === "string" ? entry : [entry.what, entry.reason].filter(Boolean).join(": ")));
}

/** All signals that matched, as `family: name`. */
export function signals(record) {
  return Object.entries(record.signals ?? {}).flatMap(([family, names]) => (names ?? []).map((name) => `${family}: ${name}`));
}

/** The boundaries that held. */
export function boundaries(record) {
  return record.boundaries ?? record.route_diagnostics?.boundaries ?? [];
}

/** A record in full. */
export function detail(record) {
  return el("article", { class: "record" },
    section("What came of it", facts([
      ["Request id", record.request_id && el("code", {}, record.request_id)],
      ["Record", el("code", {}, record.id)],
      ["Time", time(record.timestamp)],
      ["Ended", [ending(record), " ", record.terminal_reason ?? ""]],
      ["Took", record.duration_ms !== undefined && milliseconds(record.duration_ms)],
      ["Session", record.session_id && link("decisions", { session_id: record.session_id }, record.session_id)],
    ])),
    section("Route", facts([
      ["Asked for", record.original_model],
      ["Recipe", record.recipe],
      ["Decision", record.decision || "none matched"],
      ["Model", record.selected_model || "none: Merit answered"],
      ["Chosen by", record.selection_method],
      ["Why", record.route_diagnostics?.selection_reasoning ?? record.route_diagnostics?.decision_reason],
      ["Session policy", record.route_diagnostics?.session_action],
      ["Boundaries", boundaries(record).join(", ")],
      ["Degraded", degraded(record).join("; ")],
      ["Warnings", (record.warnings ?? []).join(", ")],
    ])),
    signalTable(record),
    usage(record),
    candidates(record),
    attempts(record),
    outcomes(record),
    prompt(record),
    el("details", {}, el("summary", {}, "The whole record"), el("pre", {}, el("code", {}, JSON.stringify(record, null, 2)))));
}

function signalTable(record) {
  const scores = { ...record.signal_confidences, ...record.signal_values };
  const rows = [...new Set([...signals(record).map((name) => name.replace(": ", ":")), ...Object.keys(scores)])];
  const held = new Set(signals(record).map((name) => name.replace(": ", ":")));
  return section("Signals", table("Signals of this request", [
    { title: "Signal", head: true, cell: (name) => el("code", {}, name) },
    { title: "Held", cell: (name) => (held.has(name) ? tag("good", "yes") : tag("quiet", "no")) },
    { title: "Confidence", number: true, cell: (name) => figure(record.signal_confidences?.[name]) },
    { title: "Value", number: true, cell: (name) => figure(record.signal_values?.[name]) },
  ], rows, "No signal matched."));
}

function usage(record) {
  const tokens = record.prompt_tokens ?? record.completion_tokens;
  if (tokens === undefined && record.actual_cost === undefined) return section("Use", note("Not known: usage is seen only where the gateway shows answers."));
  return section("Use", facts([
    ["Tokens in", count(record.prompt_tokens)],
    ["Of these cached", count(record.cached_prompt_tokens)],
    ["Tokens out", count(record.completion_tokens)],
    ["Cost", money(record.actual_cost, record.currency)],
    ["On the baseline", record.baseline_model && `${money(record.baseline_cost, record.currency)} (${record.baseline_model})`],
    ["Energy", record.energy && `${figure(record.energy.attributed_joules)} J (${figure(record.energy.low_joules)} to ${figure(record.energy.high_joules)}; ${record.energy.method})`],
    ["Saved", record.cost_savings !== undefined && record.cost_savings !== null && money(record.cost_savings, record.currency)],
  ]));
}

function candidates(record) {
  const list = record.candidates ?? [];
  return list.length > 0 && section("Candidates", table("Models that were considered", [
    { title: "Model", head: true, cell: (candidate) => candidate.model },
    { title: "Score", number: true, cell: (candidate) => figure(candidate.score) },
    { title: "Left out by", cell: (candidate) => candidate.excluded_by ?? "" },
  ], list));
}

function attempts(record) {
  const list = record.attempts ?? [];
  return list.length > 0 && section("Attempts", table("Models that were asked for this request", [
    { title: "Model", head: true, cell: (attempt) => attempt.model },
    { title: "Why", cell: (attempt) => attempt.why },
    { title: "Status", number: true, cell: (attempt) => attempt.status || "–" },
  ], list));
}

function outcomes(record) {
  const list = record.outcomes ?? [];
  return list.length > 0 && section("Said of the answer", table("Outcomes", [
    { title: "Time", cell: (outcome) => time(outcome.timestamp) },
    { title: "By", head: true, cell: (outcome) => outcome.source },
    { title: "Of", cell: (outcome) => [outcome.target, outcome.target_ref].filter(Boolean).join(" ") },
    { title: "Verdict", cell: (outcome) => outcome.verdict },
    { title: "Reason", cell: (outcome) => outcome.reason ?? "" },
  ], list));
}

function prompt(record) {
  if (!record.prompt) return section("Text", note("Not captured. ", el("code", {}, "capture_request_body: true"), " of the plugin ", el("code", {}, "router_replay"), " keeps it."));
  return section("Text",
    el("pre", { class: "prose" }, record.prompt),
    el("p", {}, link("explain", { text: record.prompt, model: record.original_model }, "Explain it with the policy of now")));
}
