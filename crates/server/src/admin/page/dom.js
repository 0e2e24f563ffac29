// Elements, made of names, attributes and text. Text is only ever set as text: what a client wrote
// into a prompt cannot become an element.

/**
 * Makes an element. Attributes that are `undefined`, `null` or `false` are left out, `true` is an
 * empty one, and `on…` is a listener. Children are nodes, text, or lists of them.
 */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...nodes(children));
  return made;
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== undefined && child !== null && child !== false && child !== "")
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

/** Puts children in the place of what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
}

/** A link to a view of this page. */
export function link(view, parameters, ...children) {
  return el("a", { href: address(view, parameters) }, ...children);
}

/** The address of a view: parameters that are empty are left out. */
export function address(view, parameters = {}) {
  const kept = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "");
  const query = new URLSearchParams(kept).toString();
  return query ? `#/${view}?${query}` : `#/${view}`;
}

/** A section with a heading. */
export function section(title, ...children) {
  const heading = el("h2", {}, title);
  return el("section", {}, heading, ...children);
}

/** A sentence in place of data that is not there. */
export function note(...children) {
  return el("p", { class: "note" }, ...children);
}

/** A short word with a colour; the word says it all, the colour repeats it. */
export function tag(kind, text) {
  return el("span", { class: `tag ${kind}` }, text);
}

/**
 * A table. `columns` are `{title, cell(row), number, head}`; a `head` cell names its row. The table
 * scrolls within its frame, which the keyboard can reach.
 */
export function table(caption, columns, rows, empty = "Nothing here.") {
  if (rows.length === 0) return note(empty);
  const head = columns.map((column) =>
    el("th", { scope: "col", class: column.number && "number" }, column.title));
  const body = rows.map((row) => el("tr", { class: row.rowClass }, columns.map((column) => cell(column, row))));
  const made = el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, head)), el("tbody", {}, body));
  return el("div", { class: "frame", tabindex: 0, role: "region", "aria-label": caption }, made);
}

function cell(column, row) {
  const content = column.cell(row);
  const attributes = { class: column.number && "number" };
  return column.head
    ? el("th", { scope: "row", ...attributes }, content)
    : el("td", attributes, content);
}

/**
 * A bar beside its figure. `share` and `mark` lie between 0 and 1; the mark is a threshold. The text
 * says the same as the bar, so that screen readers leave the bar out.
 */
export function bar(share, text, mark, kind = "") {
  const drawn = el("span", { class: `drawn ${kind}`, "aria-hidden": "true" });
  drawn.style.setProperty("--share", clamp(share));
  if (mark !== undefined) {
    const line = el("span", { class: "mark" });
    line.style.setProperty("--mark", clamp(mark));
    drawn.append(line);
  }
  return el("span", { class: "measure" }, el("span", { class: "figure" }, text), drawn);
}

function clamp(share) {
  return Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0));
}

/** Names and values, one below the other. Pairs without a value are left out. */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return el("dl", { class: "facts" }, shown.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** A label above its field. */
export function field(label, control, hint) {
  const id = control.id || `field-${label.toLowerCase().replace(/\W+/g, "-")}`;
  control.id = id;
  const hinted = hint && el("small", { id: `${id}-hint` }, hint);
  if (hinted) control.setAttribute("aria-describedby", hinted.id);
  return el("div", { class: "field" }, el("label", { for: id }, label), control, hinted);
}

/** A button that copies what `text()` says, and tells so. */
export function copier(label, text) {
  const button = el("button", { type: "button" }, label);
  button.addEventListener("click", async () => {
    const copied = await copy(text());
    say(copied ? "Copied." : "The browser does not let this page copy.");
    button.textContent = copied ? "Copied" : "Not copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  });
  return button;
}

/** Copies text; without a secure origin only the older way works. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = el("textarea", { class: "unseen", "aria-hidden": "true" });
    field.value = text;
    document.body.append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    return copied;
  }
}

/** Tells screen readers what changed. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

/** Hands a file to the browser. */
export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
