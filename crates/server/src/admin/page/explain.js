// Explains where a request would go, and why: nothing is sent to a model.

import { read, send, token } from "./api.js";
import { address, bar, copier, el, facts, field, fill, note, say, section, table, tag } from "./dom.js";
import { figure, milliseconds } from "./format.js";
import { document_, gist, routing, rule, rules, threshold } from "./policy.js";
import { evalCommand, probe } from "./snippets.js";
import { traced } from "./tree.js";

export const title = "Explain a request";
export const short = "Explain";
export const purpose = "Where a request would go, and why. Nothing is sent to a model, and nothing is kept.";

/** Shows the form, and the explanation where the address holds a request. */
export async function show({ body, parameters, signal }) {
  const names = await modelNames(signal);
  const result = el("div", { class: "result" });
  const fields = form(names, parameters);
  const run = async () => {
    const request = composed(fields);
    history.replaceState(null, "", address("explain", shared(fields)));
    await explain(request, result, signal);
  };
  fields.form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(run, result);
  });
  fill(body, fields.form, result);
  if (fields.text.value) await attempt(run, result);
}

/** Names that clients may ask for, for suggestions only. */
async function modelNames(signal) {
  const answer = await read("/v1/models", {}, signal);
  return (answer.data ?? []).map((model) => model.id);
}

function form(names, parameters) {
  const text = el("textarea", { rows: 5, spellcheck: "false", required: true });
  text.value = parameters.get("text") ?? "";
  const model = el("input", { list: "model-names", spellcheck: "false", autocomplete: "off" });
  model.value = parameters.get("model") ?? "";
  const metadata = el("input", { spellcheck: "false", autocomplete: "off", placeholder: "consent=denied, team=payments" });
  metadata.value = parameters.get("metadata") ?? "";
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) text.form.requestSubmit();
  });
  const form = el("form", { class: "ask" },
    field("Text, or a whole request as JSON", text, "A request is an object with messages, as clients send it. Ctrl+Enter explains."),
    el("div", { class: "pair" },
      field("Model asked for", model, "Empty: the name that stands for the policy."),
      field("Metadata", metadata, "name=value, with commas between.")),
    el("datalist", { id: "model-names" }, names.map((name) => el("option", { value: name }))),
    el("div", { class: "actions" }, el("button", { type: "submit", class: "primary" }, "Explain")));
  return { form, text, model, metadata };
}

/** What the address keeps. It stays in the browser: servers do not see what follows a `#`. */
function shared({ text, model, metadata }) {
  return { text: text.value, model: model.value.trim(), metadata: metadata.value.trim() };
}

/** The body of the evaluation. */
function composed({ text, model, metadata }) {
  const typed = text.value.trim();
  let request;
  if (typed.startsWith("{")) {
    try {
      request = JSON.parse(typed);
    } catch (error) {
      throw new Error(`The request begins like JSON, but is not: ${error.message}`);
    }
  } else request = { text: text.value };
  if (model.value.trim()) request.model = model.value.trim();
  const pairs = metadata.value.split(",").map((pair) => pair.split("=")).filter(([name]) => name.trim());
  if (pairs.length > 0) {
    const given = Object.fromEntries(pairs.map(([name, ...value]) => [name.trim(), value.join("=").trim()]));
    request.metadata = { ...request.metadata, ...given };
  }
  return request;
}

async function attempt(run, result) {
  try {
    await run();
  } catch (error) {
    if (error.status === 401 || error.name === "AbortError") throw error;
    fill(result, el("p", { class: "error", role: "alert" }, error.message));
  }
}

async function explain(request, result, signal) {
  const [answer, config] = await Promise.all([send("/api/v1/eval?trace=true", request), document_(signal)]);
  const policy = routing(config, answer.recipe);
  fill(result,
    verdict(answer),
    actions(request, answer),
    deciding(answer, policy),
    ruleTrees(answer),
    candidates(answer),
    boundaries(answer),
    edits(answer, policy),
    others(answer, policy),
    el("details", {}, el("summary", {}, "The whole answer"), el("pre", {}, el("code", {}, JSON.stringify(answer, null, 2)))));
  say(sentence(answer));
}

/** Where the request goes, as a sentence. */
function sentence(answer) {
  const decision = answer.decision_result?.decision_name;
  if (answer.refused) return `Refused with ${answer.refused.status} by ${answer.refused.by}.`;
  if (!decision && !answer.selected_model) return "No decision matches: the default model serves.";
  if (!answer.selected_model) return `Decision ${decision}; the model is chosen when the request comes.`;
  return decision ? `Decision ${decision}; model ${answer.selected_model}.` : `Model ${answer.selected_model}.`;
}

function verdict(answer) {
  const kind = answer.refused ? "refused" : "goes";
  return el("section", { class: `verdict ${kind}` },
    el("h2", {}, "Verdict"),
    el("p", { class: "sentence" }, sentence(answer)),
    answer.refused && el("p", {}, answer.refused.message),
    facts([
      ["Recipe", answer.recipe],
      ["Chosen by", [answer.selection_method, answer.selection_reason].filter(Boolean).join(": ")],
      ["Status", answer.selection_status],
      ["Session", answer.session],
    ]));
}

function actions(request, answer) {
  return el("div", { class: "actions" },
    copier("Copy as curl", () => evalCommand(request, location.origin, token() !== "")),
    copier("Copy as probe", () => probe(request, answer)),
    copier("Copy link", () => location.href));
}

/** One signal: whether it held, its score, its threshold. */
function reading(answer, policy, family, name) {
  const key = `${family}:${name}`;
  const matched = answer.decision_result?.matched_signals ?? {};
  const holds = Object.entries(matched).some(([plural, names]) => names.includes(name) && isFamily(plural, family));
  const written = rule(policy, family, name);
  const score = answer.signal_values?.[key] ?? answer.signal_confidences?.[key] ?? soleScore(answer, policy, family);
  return { family, name, holds, score, limit: threshold(written), gist: gist(written), error: answer.signal_errors?.[key] };
}

/** The family's own score, where the family has one rule only: then it is the rule's. */
function soleScore(answer, policy, family) {
  const confidence = answer.metrics?.[family]?.confidence;
  return confidence > 0 && rules(policy, family).length === 1 && threshold(rules(policy, family)[0]) ? confidence : undefined;
}

/** Evaluations say `keywords` where conditions say `keyword`. */
function isFamily(plural, family) {
  return plural === family || plural === `${family}s` || plural.startsWith(family.slice(0, 5));
}

function leavesOf(node) {
  if (!node) return [];
  return node.node_type === "leaf" ? [[node.signal_type, node.signal_name]] : (node.children ?? []).flatMap(leavesOf);
}

/** Signals of the decision that won, then all others that a decision reads. */
function deciding(answer, policy) {
  const won = (answer.eval_trace ?? []).find((trace) => trace.decision_name === answer.decision_result?.decision_name);
  if (!won) return false;
  const rows = leavesOf(won.root_trace).map(([family, name]) => reading(answer, policy, family, name));
  return section("Signals that decided", signalTable("Signals of the decision that won", rows));
}

function others(answer, policy) {
  const won = answer.decision_result?.decision_name;
  const traces = answer.eval_trace ?? [];
  const rest = traces.filter((trace) => trace.decision_name !== won).flatMap((trace) => leavesOf(trace.root_trace));
  const leaves = traces.length > 0 ? rest : told(answer);
  const seen = new Map(leaves.map((leaf) => [leaf.join(":"), leaf]));
  const rows = [...seen.values()].map(([family, name]) => reading(answer, policy, family, name));
  const heading = traces.length > 0 ? "Other signals" : "Signals";
  return section(heading, signalTable("Signals that did not decide", rows), times(answer));
}

/** The signals of an answer without a trace: no decision is asked where a model is named. */
function told(answer) {
  const { matched_signals: matched, unmatched_signals: unmatched } = answer.decision_result ?? {};
  return [matched, unmatched].flatMap((families) =>
    Object.entries(families ?? {}).flatMap(([family, names]) => names.map((name) => [family, name])));
}

function signalTable(caption, rows) {
  return table(caption, [
    { title: "Signal", head: true, cell: (row) => [el("code", {}, `${row.family}: ${row.name}`), row.gist && el("small", {}, row.gist)] },
    { title: "Holds", cell: (row) => (row.error ? tag("bad", "unknown") : row.holds ? tag("good", "yes") : tag("quiet", "no")) },
    { title: "Score against threshold", cell: score },
  ], rows, "No decision reads a signal here.");
}

function score(row) {
  if (row.error) return row.error;
  if (row.score === undefined) return row.limit ? `threshold ${row.limit.sign} ${figure(row.limit.value)}; the score is not told` : "yes or no";
  const limit = row.limit && `${row.limit.sign} ${figure(row.limit.value)}`;
  const text = limit ? `${figure(row.score)}, needs ${limit}` : figure(row.score);
  const most = Math.max(1, row.score, row.limit?.value ?? 0);
  return bar(row.score / most, text, row.limit && row.limit.value / most, row.holds ? "good" : "");
}

/** How long each family took, where it took any time. */
function times(answer) {
  const took = Object.entries(answer.metrics ?? {}).filter(([, metric]) => metric.execution_time_ms > 0);
  const text = took.map(([family, metric]) => `${family} ${milliseconds(metric.execution_time_ms)}`).join(", ");
  return text && el("p", { class: "aside" }, `Time: ${text}.`);
}

function ruleTrees(answer) {
  const won = answer.decision_result?.decision_name;
  const trees = (answer.eval_trace ?? []).map((trace) => {
    const isWinner = trace.decision_name === won;
    const word = isWinner ? tag("good", "wins") : trace.matched ? tag("odd", "holds, and gives way") : tag("quiet", "does not hold");
    return el("details", { open: isWinner }, el("summary", {}, el("b", {}, trace.decision_name), " ", word), traced(trace.root_trace));
  });
  return trees.length > 0 && section("Rule trees", trees);
}

function candidates(answer) {
  const rows = answer.candidates ?? [];
  return rows.length > 0 && section("Candidates", table("Models that the decision names", [
    { title: "Model", head: true, cell: (row) => row.model },
    { title: "May serve", cell: (row) => (row.eligible ? tag("good", "yes") : tag("bad", "no")) },
    { title: "Why not", cell: (row) => row.dropped_by ?? "" },
    { title: "Score", number: true, cell: (row) => figure(row.score) },
    { title: "Forecast", cell: (row) => row.forecast ?? "" },
  ], rows));
}

function boundaries(answer) {
  const rows = answer.boundaries ?? [];
  return rows.length > 0 && section("Boundaries", table("Boundaries of the policy", [
    { title: "Boundary", head: true, cell: (row) => row.name },
    { title: "Holds", cell: (row) => (row.holds ? tag("odd", "yes, or not known") : tag("quiet", "no")) },
    { title: "Leaves", cell: (row) => (row.holds ? (answer.allowed_models ?? []).join(", ") || "no model" : "all models") },
  ], rows));
}

/** What is done to the request before it is sent on. */
function edits(answer, policy) {
  const name = answer.decision_result?.decision_name;
  const decision = (policy.decisions ?? []).find((other) => other.name === name);
  const plugins = answer.decision_result?.plugins ?? [];
  if (!decision || plugins.length === 0) return false;
  const configured = (type) => (decision.plugins ?? []).find((plugin) => plugin.type === type)?.configuration;
  return section("Edits", table("Plugins of the decision, in order", [
    { title: "Plugin", head: true, cell: (type) => el("code", {}, type) },
    { title: "Configuration", cell: (type) => el("code", { class: "wrap" }, JSON.stringify(configured(type) ?? {})) },
  ], plugins));
}
