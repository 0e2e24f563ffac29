// Rule trees, as nested lists with a mark for each node.

import { el, tag } from "./dom.js";
import { figure } from "./format.js";

/** A decision's rules as they were evaluated: `root_trace` of an evaluation. */
export function traced(node) {
  return el("ul", { class: "tree" }, tracedNode(node));
}

function tracedNode(node) {
  const mark = el("span", { class: node.matched ? "yes" : "no" }, node.matched ? "✓ holds" : "✗ does not hold");
  if (node.node_type === "leaf") {
    const score = node.matched && node.confidence < 1 ? ` (${figure(node.confidence)})` : "";
    return el("li", {}, mark, " ", el("code", {}, `${node.signal_type}: ${node.signal_name}`), score);
  }
  return el("li", {}, mark, " ", el("b", {}, operator(node.node_type)), el("ul", {}, (node.children ?? []).map(tracedNode)));
}

/** A decision's rules as they are written. */
export function written(node) {
  return node ? el("ul", { class: "tree" }, writtenNode(node)) : el("p", {}, "Always.");
}

function writtenNode(node) {
  if (!node.operator) {
    const name = el("code", {}, `${node.type}: ${node.name}`);
    const predicate = node.predicate && ` ${JSON.stringify(node.predicate)}`;
    return el("li", {}, name, predicate);
  }
  const conditions = node.conditions ?? [];
  if (conditions.length === 0) return el("li", {}, tag("quiet", "always"));
  return el("li", {}, el("b", {}, operator(node.operator)), el("ul", {}, conditions.map(writtenNode)));
}

function operator(word) {
  return { AND: "all of", OR: "any of", NOT: "not" }[word] ?? word;
}

/** The leaves of a written tree, as `[type, name]`. */
export function leaves(node) {
  if (!node) return [];
  return node.operator ? (node.conditions ?? []).flatMap(leaves) : [[node.type, node.name]];
}
