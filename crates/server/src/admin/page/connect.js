// How clients are set up: addresses, names, snippets.

import { read } from "./api.js";
import { address, copier, el, field, fill, section, table, tag } from "./dom.js";
import { count } from "./format.js";
import { document_ } from "./policy.js";
import { clients } from "./snippets.js";

export const title = "Connect a client";
export const short = "Connect";
export const purpose = "Clients talk to the gateway, not to this port. Tell where it is, and copy what you need.";

/** Shows the names that clients may ask for, and snippets for the chosen one. */
export async function show({ body, parameters, signal }) {
  const [answer, config] = await Promise.all([read("/v1/models", {}, signal), document_(signal)]);
  const names = answer.data ?? [];
  const base = parameters.get("base") ?? `http://${location.hostname}:${config.listeners?.[0]?.port ?? 8801}`;
  const model = parameters.get("model") ?? names[0]?.id ?? "auto";
  const snippets = el("div", {});
  const fields = form(names, base, model);
  const draw = () => fill(snippets, drawn(fields.base.value.replace(/\/+$/, ""), fields.model.value));
  fields.form.addEventListener("input", () => {
    history.replaceState(null, "", address("connect", { base: fields.base.value, model: fields.model.value }));
    draw();
  });
  fields.form.addEventListener("submit", (event) => event.preventDefault());
  draw();
  fill(body, fields.form, section("Names that clients may ask for", nameTable(names)), snippets);
}

function form(names, base, model) {
  const baseField = el("input", { value: base, spellcheck: "false", inputmode: "url" });
  const choice = el("select", {}, names.map((name) => el("option", { value: name.id, selected: name.id === model }, name.id)));
  return {
    form: el("form", { class: "pair" }, field("Address of the gateway", baseField, "Envoy's listener, as clients reach it."), field("Model", choice)),
    base: baseField,
    model: choice,
  };
}

function nameTable(names) {
  return table("Names that clients may ask for", [
    { title: "Name", head: true, cell: (name) => el("code", {}, name.id) },
    { title: "What it means", cell: (name) => (name.routing?.resolution === "virtual" ? [tag("good", "policy"), ` recipe ${name.routing.recipe ?? "default"}`] : [tag("quiet", "model"), " itself"]) },
    { title: "Window", number: true, cell: (name) => count(name.context_length ?? name.max_model_len) },
  ], names);
}

function drawn(base, model) {
  return clients(base, model, "YOUR-GATEWAY-KEY").map((snippet) =>
    section(snippet.title, el("p", { class: "aside" }, snippet.language), el("pre", { tabindex: 0, "aria-label": `${snippet.title} snippet` }, el("code", {}, snippet.text)), el("div", { class: "actions" }, copier("Copy", () => snippet.text))));
}
