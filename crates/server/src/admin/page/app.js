// The page: which view the address names, and how one gives way to the next.

import { Failure, keepToken, read, token } from "./api.js";
import { el, fill, say } from "./dom.js";
import { short } from "./format.js";
import * as boundaries from "./boundaries.js";
import * as connect from "./connect.js";
import * as decisions from "./decisions.js";
import * as explain from "./explain.js";
import * as find from "./find.js";
import * as health from "./health.js";
import * as map from "./map.js";
import * as models from "./models.js";
import * as probes from "./probes.js";
import * as spend from "./spend.js";

/** The views in the order of the menu. Each has `title`, `purpose` and `show(context)`. */
const VIEWS = { explain, decisions, find, map, models, spend, boundaries, health, probes, connect };
const STATE_EVERY = 15_000;

/** The first view leaves the focus where the browser puts it; later ones take it to their heading. */
let isFirst = true;

/** Ends what the view before has under way: requests and timers. */
let current = new AbortController();

/** Shows the view that the address names. */
async function route() {
  const [name, query] = location.hash.replace(/^#\/?/, "").split("?");
  const view = VIEWS[name];
  if (!view) {
    // Anchors within the page are no views.
    if (name === "main" && !isFirst) return;
    location.replace("#/explain");
    return;
  }
  current.abort();
  current = new AbortController();
  mark(name);
  document.title = `${view.title} – Merit`;
  const body = el("div", { class: "view" });
  const heading = el("h1", { tabindex: -1 }, view.title);
  fill(document.getElementById("main"), heading, el("p", { class: "purpose" }, view.purpose), body);
  if (!isFirst) {
    heading.focus();
    scrollTo(0, 0);
  }
  isFirst = false;
  await attempt(view, { body, parameters: new URLSearchParams(query ?? ""), signal: current.signal });
}

/** Shows a view, and in its place what keeps it from being shown. */
async function attempt(view, context) {
  fill(context.body, el("p", { class: "note" }, "Loading …"));
  try {
    await view.show(context);
  } catch (error) {
    if (context.signal.aborted || error.name === "AbortError") return;
    fill(context.body, failure(error, () => attempt(view, context)));
    if (error instanceof Failure && error.status === 401) askForToken(() => attempt(view, context));
  }
}

/** What went wrong, with a way on. */
function failure(error, again) {
  const text = error instanceof Failure ? error.message : `This view failed: ${error.message}`;
  const retry = el("button", { type: "button", onclick: again }, "Try again");
  const give = error.status === 401 && el("button", { type: "button", onclick: () => askForToken(again) }, "Enter the token");
  return el("div", { class: "error", role: "alert" }, el("p", {}, text), el("div", { class: "actions" }, retry, give));
}

/** Asks for the token, and goes on once the API takes it. */
function askForToken(then) {
  const dialog = document.getElementById("token");
  const text = document.getElementById("token-field");
  const error = document.getElementById("token-error");
  if (dialog.open) return;
  error.textContent = token() ? "The token that was given is not the one." : "";
  text.value = "";
  document.getElementById("token-form").onsubmit = async (event) => {
    event.preventDefault();
    keepToken(text.value.trim());
    try {
      await read("/config/hash");
      dialog.close();
      then();
    } catch (failed) {
      keepToken("");
      error.textContent = failed.message;
      text.value = "";
      text.focus();
    }
  };
  document.getElementById("token-cancel").onclick = () => dialog.close();
  dialog.showModal();
}

function mark(name) {
  for (const item of document.querySelectorAll("#views a")) {
    if (item.dataset.view === name) item.setAttribute("aria-current", "page");
    else item.removeAttribute("aria-current");
  }
}

function menu() {
  const items = Object.entries(VIEWS).map(([name, view]) =>
    el("li", {}, el("a", { href: `#/${name}`, "data-view": name }, view.short ?? view.title)));
  fill(document.getElementById("views"), items);
}

/** Which document serves, in the corner; a failed reload shows on every view. */
async function state() {
  const corner = document.getElementById("state");
  try {
    const { hash, generation, last_reload: reload } = await read("/config/hash");
    const isRejected = (reload?.problems ?? []).length > 0 || reload?.outcome === "rejected";
    const text = isRejected ? "the last reload was refused" : `document ${short(hash)}, generation ${generation}`;
    fill(corner, el("a", { href: "#/health", class: isRejected ? "bad" : "" }, text));
  } catch (error) {
    fill(corner, error.status === 401 ? "needs a token" : "not reachable");
  }
}

menu();
addEventListener("hashchange", route);
route();
state();
setInterval(() => { if (!document.hidden) state(); }, STATE_EVERY);
say("");
