// The models: what the document says of them, and how they are now.

import { read } from "./api.js";
import { el, fill, say, section, table, tag } from "./dom.js";
import { count, figure, milliseconds, percent, seconds } from "./format.js";
import { document_, models as documented } from "./policy.js";

export const title = "Models";
export const purpose = "Each model's health as this process sees it, beside what the document says of it.";

const EVERY = 5_000;

/** Shows both tables, and keeps the first fresh. */
export async function show({ body, signal }) {
  const [pool, config] = await Promise.all([read("/api/v1/pool", {}, signal), document_(signal)]);
  const state = el("div", {});
  fill(body, state, cards(documented(config)));
  draw(state, pool);
  const timer = setInterval(async () => {
    if (document.hidden || state.contains(document.activeElement)) return;
    const fresh = await read("/api/v1/pool", {}, signal).catch(() => undefined);
    if (fresh && !signal.aborted) draw(state, fresh);
  }, EVERY);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function draw(state, pool) {
  const resting = pool.models.filter((model) => model.resting).map((model) => model.model);
  const key = resting.join(", ");
  if (state.dataset.resting !== undefined && state.dataset.resting !== key) say(key ? `Resting: ${key}.` : "No model rests.");
  state.dataset.resting = key;
  fill(state, section("Now", health(pool.models),
    el("p", { class: "aside" }, `${count(pool.open)} requests are under way; the end of ${count(pool.given_up)} was never told.`)));
}

function health(models) {
  return table("Health of the models", [
    { title: "Model", head: true, cell: (model) => model.model },
    { title: "State", cell: condition },
    { title: "In flight", number: true, cell: (model) => count(model.in_flight) },
    { title: "First token, median", number: true, cell: (model) => milliseconds(model.ttft?.p50_ms) },
    { title: "First token, 95 %", number: true, cell: (model) => milliseconds(model.ttft?.p95_ms) },
    { title: "Per token", number: true, cell: (model) => milliseconds(model.tpot?.p50_ms) },
    { title: "Tokens/s", number: true, cell: (model) => figure(model.tokens_per_second) },
    { title: "Errors", number: true, cell: (model) => percent(model.error_rate) },
    { title: "Its own queue", number: true, cell: (model) => count(model.reported_waiting) },
    { title: "KV cache", number: true, cell: (model) => percent(model.reported_cache_usage) },
  ], models, "No request was routed yet.");
}

/** Why a model rests, where it does. */
function condition(model) {
  const errors = model.errors_in_a_row > 0 ? ` after ${count(model.errors_in_a_row)} errors in a row` : "";
  if (model.probing) return [tag("odd", "probed"), `: one request tries it${errors}`];
  if (model.resting) return [tag("bad", "rests"), `${errors}, ${seconds(model.rest_seconds_left)} left`];
  return [tag("good", "serves"), errors];
}

function cards(models) {
  return section("In the document", table("What the document says of the models", [
    { title: "Model", head: true, cell: (model) => model.name },
    { title: "Location", cell: (model) => model.location ?? "–" },
    { title: "Size", cell: (model) => model.param_size ?? "–" },
    { title: "Window", number: true, cell: (model) => count(model.context_window_size) },
    { title: "Quality", number: true, cell: (model) => figure(model.quality_score) },
    { title: "Price per 1M, in", number: true, cell: (model) => price(model, "prompt") },
    { title: "Price per 1M, out", number: true, cell: (model) => price(model, "completion") },
    { title: "Can", cell: (model) => (model.capabilities ?? []).join(", ") || "not said" },
    { title: "Backends", cell: (model) => (model.backend_refs ?? []).map((backend) => backend.endpoint ?? backend.base_url ?? backend.name).join(", ") || "–" },
  ], models));
}

function price(model, part) {
  const pricing = model.pricing ?? {};
  const value = pricing[`${part}_per_1m`];
  return value === undefined ? "–" : `${figure(value, 4)} ${pricing.currency ?? ""}`.trim();
}
