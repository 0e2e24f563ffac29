// Live decisions: the newest records, asked for every two seconds.

import { address, el, field, fill, link, say, table } from "./dom.js";
import { count, milliseconds, money, time } from "./format.js";
import { degraded, ending, list, off, signals } from "./records.js";

export const title = "Live decisions";
export const short = "Live";
export const purpose = "The newest requests, as they come. Filters stand in the address.";

const EVERY = 2_000;
const FILTERS = ["decision", "model", "recipe", "session_id", "search", "cache_status"];

/** Shows the filters and the table, and keeps the table fresh. */
export async function show({ body, parameters, signal }) {
  const filters = Object.fromEntries(FILTERS.map((name) => [name, parameters.get(name) ?? ""]));
  const page = { limit: 50, offset: Number(parameters.get("offset")) || 0 };
  const first = await list({ ...filters, ...page }, signal);
  if (first === undefined) {
    fill(body, off());
    return;
  }
  const rows = el("div", {});
  const told = el("p", { class: "aside" });
  const pause = el("button", { type: "button", "aria-pressed": page.offset > 0 }, "Pause");
  pause.addEventListener("click", () => {
    const isPaused = pause.getAttribute("aria-pressed") === "true";
    pause.setAttribute("aria-pressed", String(!isPaused));
    say(isPaused ? "Goes on." : "Paused.");
  });
  fill(body, form(filters), el("div", { class: "actions" }, pause, told), rows);
  draw({ rows, told, filters, page }, first);
  keep({ rows, told, pause, filters, page, signal });
}

function form(filters) {
  const inputs = FILTERS.slice(0, 5).map((name) => {
    const input = el("input", { name, value: filters[name], spellcheck: "false", autocomplete: "off" });
    return field(LABELS[name], input);
  });
  const cache = el("select", { name: "cache_status" }, [["", "all"], ["cached", "from a cache"], ["streamed", "streams"]].map(
    ([value, text]) => el("option", { value, selected: filters.cache_status === value }, text)));
  const made = el("form", { class: "filters", "aria-label": "Filters" }, inputs, field("Answers", cache),
    el("div", { class: "actions" }, el("button", { type: "submit" }, "Filter"), link("decisions", {}, "Clear")));
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = Object.fromEntries([...new FormData(made)].map(([name, value]) => [name, value.trim()]));
    location.hash = address("decisions", wanted);
  });
  return made;
}

const LABELS = { decision: "Decision", model: "Model", recipe: "Recipe", session_id: "Session", search: "Part of the request id" };

/** Asks again until the view is left; waits while the tab is hidden. */
function keep(shown) {
  let isAsking = false;
  const timer = setInterval(async () => {
    if (isAsking || document.hidden || shown.pause.getAttribute("aria-pressed") === "true") return;
    isAsking = true;
    try {
      const answer = await list({ ...shown.filters, ...shown.page }, shown.signal);
      if (answer && !shown.signal.aborted) draw(shown, answer);
    } catch (error) {
      if (!shown.signal.aborted) shown.told.textContent = error.message;
    }
    isAsking = false;
  }, EVERY);
  shown.signal.addEventListener("abort", () => clearInterval(timer));
}

function draw({ rows, told, filters, page }, answer) {
  told.textContent = `${count(answer.count)} of ${count(answer.total)} records, at ${time(new Date())}.`;
  // The table is replaced as a whole: what has the focus is found again by its address.
  const focused = rows.contains(document.activeElement) && document.activeElement.getAttribute("href");
  fill(rows, decisions(answer.data ?? []), pages(filters, page, answer));
  if (focused) [...rows.querySelectorAll("a")].find((other) => other.getAttribute("href") === focused)?.focus();
}

function decisions(records) {
  return table("Requests, newest first", [
    { title: "Time", cell: (record) => time(record.timestamp) },
    { title: "Request", head: true, cell: (record) => link("find", { id: record.id }, (record.request_id || record.id).slice(0, 13)) },
    { title: "Asked", cell: (record) => record.original_model },
    { title: "Decision", cell: (record) => (record.decision ? link("decisions", { decision: record.decision }, record.decision) : "–") },
    { title: "Model", cell: (record) => (record.selected_model ? link("decisions", { model: record.selected_model }, record.selected_model) : "–") },
    { title: "Signals", cell: (record) => el("small", {}, signals(record).join(", ")) },
    { title: "Took", number: true, cell: (record) => milliseconds(record.duration_ms) },
    { title: "In", number: true, cell: (record) => count(record.prompt_tokens) },
    { title: "Out", number: true, cell: (record) => count(record.completion_tokens) },
    { title: "Cost", number: true, cell: (record) => money(record.actual_cost, record.currency) },
    { title: "Ended", cell: (record) => [ending(record), record.from_cache && " cache", degraded(record).length > 0 && " degraded"] },
  ], records, "No request yet that these filters take.");
}

function pages(filters, page, answer) {
  const older = answer.has_more && link("decisions", { ...filters, offset: page.offset + page.limit }, "Older");
  const newer = page.offset > 0 && link("decisions", { ...filters, offset: Math.max(0, page.offset - page.limit) || "" }, "Newer");
  return (older || newer) && el("p", { class: "actions" }, newer, " ", older);
}
