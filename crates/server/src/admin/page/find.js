// One request, by its id or its record's.

import { address, copier, el, field, fill, note, table, link } from "./dom.js";
import { time } from "./format.js";
import { detail, ending, list, off, one } from "./records.js";

export const title = "Find a request";
export const short = "Find";
export const purpose = "What became of one request: paste its x-request-id, or the record's id from x-vsr-replay-id.";

const RECORD = /^[0-9a-f]{32}$/;

/** Shows the field, and the record where the address names one. */
export async function show({ body, parameters, signal }) {
  const id = (parameters.get("id") ?? "").trim();
  const input = el("input", { value: id, required: true, spellcheck: "false", autocomplete: "off" });
  const form = el("form", { class: "line" }, field("Id", input), el("div", { class: "actions" }, el("button", { type: "submit", class: "primary" }, "Find")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = address("find", { id: input.value.trim() });
  });
  const result = el("div", {});
  fill(body, form, result);
  if (id) fill(result, await found(id, signal));
  else if ((await list({ limit: 1 }, signal)) === undefined) fill(result, off());
}

/** A record's own id names one; a request's id may be a part, and name several. */
async function found(id, signal) {
  const record = RECORD.test(id) ? await one(id) : undefined;
  if (record) return [shareable(), detail(record)];
  const answer = await list({ search: id, limit: 20 }, signal);
  if (answer === undefined) return off();
  const records = answer.data ?? [];
  if (records.length === 0) return note(`No record has the id ${id}. It may be older than what is kept, or its decision may not be recorded.`);
  if (records.length > 1) return several(records);
  return [shareable(), detail((await one(records[0].id)) ?? records[0])];
}

function shareable() {
  return el("div", { class: "actions" }, copier("Copy link", () => location.href));
}

function several(records) {
  return table("Requests whose id has this part", [
    { title: "Time", cell: (record) => time(record.timestamp) },
    { title: "Request", head: true, cell: (record) => link("find", { id: record.id }, record.request_id || record.id) },
    { title: "Decision", cell: (record) => record.decision || "–" },
    { title: "Model", cell: (record) => record.selected_model || "–" },
    { title: "Ended", cell: ending },
  ], records);
}
