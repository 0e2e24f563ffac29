// Figures and times as people read them.

const whole = new Intl.NumberFormat("en");

/** A count with its thousands apart; a dash where it is unknown. */
export function count(value) {
  return value === undefined || value === null ? "–" : whole.format(value);
}

/** A figure of at most `digits` significant digits. */
export function figure(value, digits = 3) {
  if (value === undefined || value === null || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  return new Intl.NumberFormat("en", { maximumSignificantDigits: digits }).format(value);
}

/** A share as a percentage. */
export function percent(share) {
  if (share === undefined || share === null || !Number.isFinite(share)) return "–";
  return `${figure(100 * share)} %`;
}

/** Milliseconds, as seconds from 10 s on. */
export function milliseconds(value) {
  if (value === undefined || value === null) return "–";
  return value >= 10_000 ? `${figure(value / 1000)} s` : `${figure(value)} ms`;
}

/** Money with its currency. */
export function money(value, currency) {
  if (value === undefined || value === null) return "–";
  return currency ? `${figure(value, 4)} ${currency}` : figure(value, 4);
}

/** The local time of day, with the date where that is not today. */
export function time(text) {
  const moment = new Date(text);
  if (!text || Number.isNaN(moment.getTime())) return "–";
  const clock = moment.toLocaleTimeString("en-GB");
  const isToday = moment.toDateString() === new Date().toDateString();
  return isToday ? clock : `${moment.toLocaleDateString("en-CA")} ${clock}`;
}

/** Seconds as hours, minutes and seconds. */
export function seconds(value) {
  if (value < 90) return `${figure(value)} s`;
  return value < 5400 ? `${figure(value / 60)} min` : `${figure(value / 3600)} h`;
}

/** The first digits of a digest. */
export function short(hash) {
  return hash ? hash.slice(0, 12) : "–";
}

/** A line of comma-separated values. */
export function csvLine(values) {
  return values.map((value) => {
    // A spreadsheet takes a leading sign for a formula.
    const text = String(value ?? "").replace(/^(?=[=+@\t\r])/, "'");
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }).join(",");
}
