// The policy as a map: decisions in the order in which they are asked, with how often each won.

import { bar, el, fill, link, note, section, tag } from "./dom.js";
import { count, percent } from "./format.js";
import { document_, gist, routings, rule } from "./policy.js";
import { aggregate } from "./records.js";
import { leaves, written } from "./tree.js";

export const title = "Policy map";
export const short = "Policy";
export const purpose = "The decisions in the order of their priority, and how many of the kept records each won.";

/** Shows every recipe's decisions. */
export async function show({ body, signal }) {
  const [config, sums] = await Promise.all([document_(signal), aggregate({}, signal)]);
  const hits = new Map((sums?.decision_distribution ?? []).map((entry) => [entry.name, entry.value]));
  const total = sums?.record_count ?? 0;
  const isCounted = sums !== undefined && total > 0;
  const about = isCounted
    ? el("p", { class: "aside" }, `Of ${count(total)} records, ${count(hits.get("Unknown") ?? 0)} matched no decision.`)
    : note(sums === undefined ? "Records are off, so hits are not counted. " : "No record yet, so there are no hits to show.");
  const parts = routings(config).map(({ recipe, routing }) => recipePart({ recipe, routing, hits, total: isCounted ? total : 0 }));
  fill(body, about, parts);
}

function recipePart({ recipe, routing, hits, total }) {
  const decisions = [...(routing.decisions ?? [])].sort(order);
  const items = decisions.map((decision) => {
    const key = recipe === "default" ? decision.name : `${encodeURIComponent(recipe)}::${encodeURIComponent(decision.name)}`;
    return decisionPart({ decision, routing, won: hits.get(key) ?? 0, total });
  });
  return section(`Recipe ${recipe}`, items.length > 0 ? el("ol", { class: "map" }, items) : note("This recipe has no decision."));
}

/** Lower tiers first, then higher priorities; equal ones stay as written. */
function order(one, other) {
  return (one.tier ?? 0) - (other.tier ?? 0) || (other.priority ?? 0) - (one.priority ?? 0);
}

function decisionPart({ decision, routing, won, total }) {
  const share = total > 0 && bar(won / total, `${count(won)} hits, ${percent(won / total)}`);
  const isUnused = total > 0 && won === 0;
  const models = (decision.modelRefs ?? []).map((reference) => reference.lora_name ?? reference.model);
  const head = el("summary", {},
    el("b", {}, decision.name), el("span", { class: "aside" }, ` priority ${decision.priority ?? 0}`), " ",
    isUnused ? tag("quiet", "never hit") : share,
    el("span", { class: "goes" }, " → ", models.join(", ") || "no model of its own"));
  return el("li", { class: isUnused && "unused" }, el("details", {}, head,
    decision.description && el("p", {}, decision.description),
    el("h3", {}, "Rules"), written(decision.rules),
    el("h3", {}, "Signals"), el("ul", {}, uses(decision, routing)),
    algorithm(decision),
    plugins(decision),
    el("p", {}, link("decisions", { decision: decision.name }, "Its newest requests"))));
}

function uses(decision, routing) {
  return leaves(decision.rules).map(([type, name]) => {
    const text = gist(rule(routing, type, name));
    return el("li", {}, el("code", {}, `${type}: ${name}`), LEARNED.has(type) && [" ", tag("odd", "asks a model")], text && ` – ${text}`);
  });
}

/** Families whose rules run an encoder. */
const LEARNED = new Set(["embedding", "domain", "fact_check", "user_feedback", "reask", "preference", "complexity", "modality", "jailbreak", "pii", "kb", "classifier"]);

function algorithm(decision) {
  return decision.algorithm && [el("h3", {}, "Choice of the model"), el("code", { class: "wrap" }, JSON.stringify(decision.algorithm))];
}

function plugins(decision) {
  const list = decision.plugins ?? [];
  return list.length > 0 && [el("h3", {}, "Plugins"), el("ul", {}, list.map((plugin) => el("li", {}, el("code", {}, plugin.type))))];
}
