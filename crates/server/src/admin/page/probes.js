// Runs a file of probes against the policy that serves, as `merit test` does.

import { send } from "./api.js";
import { el, field, fill, link, say, section, table, tag } from "./dom.js";
import { count } from "./format.js";

export const title = "Probes";
export const purpose = "Requests with what must become of each. They are evaluated as merit test does; nothing is sent to a model.";

const EXAMPLE = `- name: a greeting
  text: "Hello, how are you?"
  expect: {decision: "", model: ""}
`;

/** Shows the field for a file, and what became of its probes. */
export async function show({ body }) {
  const text = el("textarea", { rows: 12, spellcheck: "false", required: true });
  text.value = EXAMPLE;
  const file = el("input", { type: "file", accept: ".yaml,.yml,.json" });
  file.addEventListener("change", async () => { if (file.files[0]) text.value = await file.files[0].text(); });
  const result = el("div", { class: "result" });
  const form = el("form", {}, field("Open a file", file, "It stays in this tab until you run it."), field("Probes (YAML)", text),
    el("div", { class: "actions" }, el("button", { type: "submit", class: "primary" }, "Run")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run(text.value, result);
  });
  fill(body, form, result);
}

async function run(text, result) {
  fill(result, el("p", { class: "note" }, "Running …"));
  try {
    const report = await send("/api/v1/probes", text, "application/yaml");
    fill(result, shown(report));
    say(`${report.passed} passed, ${report.failed} failed.`);
  } catch (error) {
    fill(result, el("p", { class: "error", role: "alert" }, error.message));
  }
}

function shown(report) {
  const failing = report.probes.filter((probe) => !probe.passed);
  const passing = report.probes.filter((probe) => probe.passed);
  return section("Result",
    el("p", { class: "sentence" }, report.accepted ? tag("good", "accepted") : tag("bad", "not accepted"), ` ${count(report.passed)} passed, ${count(report.failed)} failed`),
    (report.unreached ?? []).map((line) => el("p", {}, line)),
    failing.length > 0 && table("Probes that failed", [
      { title: "Probe", head: true, cell: (probe) => probe.name },
      { title: "Expected, and got", cell: (probe) => el("ul", {}, (probe.faults ?? []).map((fault) =>
        el("li", {}, `${fault.what}: expected `, el("code", {}, fault.expected || "nothing"), ", got ", el("code", {}, fault.got || "nothing")))) },
      { title: "Without an answer", cell: (probe) => (probe.unready ?? []).join("; ") },
    ], failing),
    passing.length > 0 && table("Probes that passed", [{ title: "Probe", head: true, cell: (probe) => probe.name }], passing),
    el("p", {}, "To see why one goes elsewhere, ", link("explain", {}, "explain its text"), "."));
}
