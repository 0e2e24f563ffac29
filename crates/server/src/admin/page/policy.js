// What the served document says, as far as views ask for it.

import { read } from "./api.js";

/** How a condition's family is called in `routing.signals`, where that differs from its plural. */
const SECTIONS = {
  keyword: "keywords", embedding: "embeddings", domain: "domains", fact_check: "fact_check",
  user_feedback: "user_feedbacks", reask: "reasks", preference: "preferences", language: "language",
  context: "context", structure: "structure", complexity: "complexity", modality: "modality",
  authz: "role_bindings", jailbreak: "jailbreak", pii: "pii", kb: "kb", conversation: "conversation",
  event: "events", metadata: "metadata", classifier: "classifiers", projection: "projections",
};

/** Reads the document that serves. */
export function document_(signal) {
  return read("/config/router", {}, signal);
}

/** The routing of a recipe: the document's own for the default one. */
export function routing(config, recipe) {
  const named = (config.recipes ?? []).find((other) => other.name === recipe);
  return named?.routing ?? config.routing ?? {};
}

/** All routings, each with its recipe's name. */
export function routings(config) {
  const recipes = (config.recipes ?? []).map((recipe) => ({ recipe: recipe.name, routing: recipe.routing ?? {} }));
  const own = config.routing ? [{ recipe: "default", routing: config.routing }] : [];
  return own.concat(recipes.filter((recipe) => recipe.recipe !== "default" || own.length === 0));
}

/** The rules of a family. */
export function rules(routing, type) {
  const signals = routing.signals ?? {};
  const list = signals[SECTIONS[type]] ?? signals[type];
  return Array.isArray(list) ? list : [];
}

/** The rule that a condition refers to; `undefined` for what is no rule of its own. */
export function rule(routing, type, name) {
  const bare = String(name).split(":")[0];
  return rules(routing, type).find((entry) => entry.name === bare || entry.role === bare);
}

/** The score from which on a rule holds, if it has one. */
export function threshold(rule) {
  if (!rule) return undefined;
  for (const key of ["threshold", "bm25_threshold", "ngram_threshold", "hard_threshold"]) {
    if (typeof rule[key] === "number") return { value: rule[key], sign: "≥" };
  }
  const predicate = rule.predicate ?? {};
  const signs = { gte: "≥", gt: ">", lte: "≤", lt: "<" };
  for (const [key, sign] of Object.entries(signs)) {
    if (typeof predicate[key] === "number") return { value: predicate[key], sign };
  }
  return undefined;
}

/** What a rule looks for, in a few words. */
export function gist(rule) {
  if (!rule) return "";
  if (rule.description) return rule.description;
  const lists = ["keywords", "candidates", "mmlu_categories", "pii_types_allowed", "event_types"];
  const found = lists.find((key) => Array.isArray(rule[key]));
  const word = found === "pii_types_allowed" ? "all but " : "";
  return found ? word + rule[found].slice(0, 6).join(", ") + (rule[found].length > 6 ? " …" : "") : "";
}

/** All models of the document: backend, card and price joined by name. */
export function models(config) {
  const cards = new Map(routings(config).flatMap(({ routing }) => routing.modelCards ?? []).map((card) => [card.name, card]));
  const backends = config.providers?.models ?? [];
  const names = [...new Set([...backends.map((model) => model.name), ...cards.keys()])];
  const backend = (name) => backends.find((model) => model.name === name) ?? {};
  return names.map((name) => ({ name, ...cards.get(name), ...backend(name) }));
}
