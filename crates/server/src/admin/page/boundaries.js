// What stays home: the boundaries, and what they refused.

import { el, fill, link, note, section, table, tag } from "./dom.js";
import { count, time } from "./format.js";
import { document_, models, routings } from "./policy.js";
import { boundaries as held, list, off } from "./records.js";
import { written } from "./tree.js";

export const title = "What stays home";
export const short = "Boundaries";
export const purpose = "Limits that hold on every path, whatever a client asks for; what is unknown holds.";

/** How many of the newest records are looked through. */
const LOOKED_THROUGH = 100;

/** Shows the boundaries, then the newest requests that one bound or refused. */
export async function show({ body, signal }) {
  const [config, page] = await Promise.all([document_(signal), list({ limit: LOOKED_THROUGH }, signal)]);
  const records = page?.data ?? [];
  const all = routings(config).flatMap(({ recipe, routing }) => (routing.boundaries ?? []).map((boundary) => ({ recipe, boundary })));
  fill(body,
    all.length > 0 ? all.map((entry) => part(entry, config, records)) : note("The document has no boundary. ", el("code", {}, "routing.boundaries"), " keeps requests from models by signal, location or name."),
    page === undefined ? section("Refused", off()) : refused(records));
}

function part({ recipe, boundary }, config, records) {
  const bound = records.filter((record) => held(record).includes(boundary.name));
  const stopped = bound.filter((record) => record.response_status === 403);
  const known = records.length > 0 && el("p", {}, `Of the newest ${count(records.length)} records it bound ${count(bound.length)}, and refused ${count(stopped.length)}.`);
  return section(boundary.name,
    boundary.description && el("p", {}, boundary.description),
    recipe !== "default" && el("p", { class: "aside" }, `Of the recipe ${recipe}.`),
    el("div", { class: "pair" },
      el("div", {}, el("h3", {}, "When"), written(boundary.when)),
      el("div", {}, el("h3", {}, "Allows"), allowed(boundary.allow ?? {}, models(config)))),
    known);
}

/** Each model with whether it stays reachable. */
function allowed(allow, all) {
  const lists = Object.entries(allow).map(([key, values]) => `${key}: ${[values].flat().join(", ")}`);
  const isAllowed = (model) => [allow.locations ?? []].flat().includes(model.location) || [allow.models ?? []].flat().includes(model.name);
  return [
    el("p", {}, lists.join("; ") || "nothing"),
    el("ul", {}, all.map((model) => el("li", {}, model.name, model.location && ` (${model.location})`, " ", isAllowed(model) ? tag("good", "allowed") : tag("bad", "kept out")))),
  ];
}

function refused(records) {
  const stopped = records.filter((record) => record.response_status === 403).slice(0, 10);
  return section("Refused", table("The last ten requests that were refused with 403", [
    { title: "Time", cell: (record) => time(record.timestamp) },
    { title: "Request", head: true, cell: (record) => link("find", { id: record.id }, (record.request_id || record.id).slice(0, 13)) },
    { title: "Asked", cell: (record) => record.original_model },
    { title: "Why", cell: (record) => held(record).join(", ") || record.terminal_reason || "–" },
  ], stopped, `None of the newest ${count(records.length)} records was refused with 403.`));
}
