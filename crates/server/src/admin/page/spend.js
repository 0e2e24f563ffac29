// Money and tokens over the kept records, against the baseline.

import { readIfThere } from "./api.js";
import { address, bar, download, el, facts, fill, note, section, table } from "./dom.js";
import { count, csvLine, figure, money, percent } from "./format.js";
import { aggregate, off } from "./records.js";

export const title = "Spend and saved";
export const short = "Spend";
export const purpose = "What requests cost, and what they would have cost on the baseline model.";

/** Shows the sums, and the ledger where this Merit keeps one. */
export async function show({ body, parameters, signal }) {
  const filters = Object.fromEntries(["decision", "model", "recipe"].map((name) => [name, parameters.get(name) ?? ""]));
  const by = parameters.get("by") ?? "model";
  const [sums, ledger] = await Promise.all([aggregate(filters, signal), readIfThere("/api/v1/ledger", { by }, signal)]);
  if (sums === undefined && ledger === undefined) {
    fill(body, off());
    return;
  }
  fill(body, sums && overview(sums), sums && volumes(sums), ledger && ledgerPart(ledger, by), sums && saved(sums));
}

/** One summary a currency: currencies are not added together. */
function summaries(sums) {
  return sums.summary_by_currency ?? [sums.summary ?? {}];
}

function overview(sums) {
  const priced = summaries(sums).filter((summary) => summary.cost_record_count > 0);
  if (priced.length === 0) return section("Money", note("No finished request has a price and a baseline. Prices stand under ", el("code", {}, "providers.models[].pricing"), "; the baseline is the dearest model that a decision names."));
  return section("Money", priced.map((summary) => {
    const share = summary.baseline_spend > 0 ? summary.total_saved / summary.baseline_spend : 0;
    return el("div", { class: "sum" },
      el("p", { class: "sentence" }, `${money(summary.total_saved, summary.currency)} saved of ${money(summary.baseline_spend, summary.currency)}: ${percent(share)}`),
      facts([
        ["Spent", money(summary.actual_spend, summary.currency)],
        ["On the baseline", money(summary.baseline_spend, summary.currency)],
        ["Requests counted", count(summary.cost_record_count)],
        ["Left out", `${count(summary.excluded_record_count)}: not finished, or without a price`],
      ]));
  }));
}

function volumes(sums) {
  const volume = sums.token_volume ?? {};
  const parts = sums.token_breakdown ?? {};
  return section("Tokens",
    facts([["In", count(volume.input_tokens)], ["Out", count(volume.output_tokens)], ["Together", count(volume.total_tokens)]]),
    shares("Tokens by model", "Model", parts.by_selected_model ?? []),
    shares("Tokens by decision", "Decision", parts.by_decision ?? []),
    shares("Requests by model", "Model", sums.model_selection ?? []));
}

/** Names with values; entries of tokens have their sum in `total_tokens`. */
function shares(caption, word, list) {
  const value = (entry) => entry.value ?? entry.total_tokens ?? 0;
  const total = list.reduce((sum, entry) => sum + value(entry), 0);
  return list.length > 0 && table(caption, [
    { title: word, head: true, cell: (entry) => entry.name },
    { title: "Share", cell: (entry) => bar(value(entry) / total, `${count(value(entry))}, ${percent(value(entry) / total)}`) },
  ], list);
}

/** The ledger's rows. Its integers come as texts: billionths of a currency's unit and of a joule. */
function ledgerPart(ledger, by) {
  const rows = ledger?.rows ?? [];
  const words = { model: "Model", decision: "Decision", caller: "Caller", session: "Session" };
  const choices = el("p", { class: "actions" }, "Group by: ", Object.entries(words).map(([key, word]) =>
    el("a", { href: address("spend", { by: key }), "aria-current": key === by && "true" }, word)));
  if (rows.length === 0) return section("Ledger", choices, note("The ledger has no row yet."));
  const csv = () => [csvLine(["key", "currency", ...Object.keys(rows[0].sums)]),
    ...rows.map((row) => csvLine([row.key, row.currency, ...Object.values(row.sums)]))].join("\n");
  return section("Ledger", choices, ledgerTable(rows, words[by] ?? "Name"), csvButton("merit-ledger.csv", csv));
}

function ledgerTable(rows, word) {
  const sum = (row, name) => Number(row.sums[name] ?? 0);
  const units = (row, name) => money(sum(row, name) / 1e9, row.currency);
  const known = (row, name, shown) => (sum(row, name) > 0 ? shown() : "–");
  return table("What requests used, cost and drew", [
    { title: word, head: true, cell: (row) => row.key || "none" },
    { title: "Requests", number: true, cell: (row) => count(sum(row, "requests")) },
    { title: "Tokens in", number: true, cell: (row) => count(sum(row, "input_tokens")) },
    { title: "Cached", number: true, cell: (row) => count(sum(row, "cached_tokens")) },
    { title: "Tokens out", number: true, cell: (row) => count(sum(row, "output_tokens")) },
    { title: "Cost", number: true, cell: (row) => known(row, "priced", () => units(row, "cost_nanos")) },
    { title: "Saved", number: true, cell: (row) => known(row, "compared", () => units(row, "saved_nanos")) },
    { title: "Energy", number: true, cell: (row) => known(row, "measured", () => joules(row.sums)) },
  ], rows);
}

/** Joules with their interval. */
function joules(sums) {
  const part = (name) => figure(Number(sums[name] ?? 0) / 1e9);
  return `${part("attributed_nanojoules")} J (${part("low_nanojoules")} to ${part("high_nanojoules")})`;
}

function saved(sums) {
  const breakdown = sums.token_breakdown ?? {};
  const value = (entry) => entry.value ?? entry.total_tokens;
  const lines = [["group", "name", "value"],
    ...(breakdown.by_selected_model ?? []).map((entry) => ["tokens by model", entry.name, value(entry)]),
    ...(breakdown.by_decision ?? []).map((entry) => ["tokens by decision", entry.name, value(entry)]),
    ...summaries(sums).flatMap((summary) => ["actual_spend", "baseline_spend", "total_saved"].map((key) => [key, summary.currency ?? "", summary[key]]))];
  return csvButton("merit-spend.csv", () => lines.map(csvLine).join("\n"));
}

function csvButton(name, text) {
  return el("div", { class: "actions" }, el("button", { type: "button", onclick: () => download(name, "text/csv", text()) }, `Save as ${name}`));
}
