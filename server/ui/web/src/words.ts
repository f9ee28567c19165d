// Spans, instants, sizes and states as people read them.

import type { Band } from "./api";

export const ENDS = new Set(["succeeded", "failed", "cancelled", "skipped", "lost"]);
export const isOver = (state: string): boolean => ENDS.has(state);

export const SIGNS: Record<string, string> = {
  succeeded: "✓", failed: "✕", lost: "✕", cancelled: "⊘", cancelling: "⊘", skipped: "⤼", running: "▶", finishing: "▶",
  queued: "⋯", placed: "⋯", dispatched: "⋯", ready: "◷", waiting: "◷", pending: "○",
};

const IN_MINUTES = 100;

export function span(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  const value = Math.max(seconds, 0);
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < IN_MINUTES) return `${Math.round(value)} s`;
  return minutesOf(value);
}

function minutesOf(value: number): string {
  const minutes = Math.floor(Math.round(value) / 60);
  if (minutes < 60) return `${minutes} min ${String(Math.round(value) % 60).padStart(2, "0")} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export const ms = (text: string | null | undefined): number | null => (text ? Date.parse(text) : null);

export function clock(text: string | null | undefined): string {
  if (!text) return "–";
  const at = new Date(text);
  const time = at.toLocaleTimeString([], { hourCycle: "h23", hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return at.toDateString() === new Date().toDateString() ? time : `${at.toLocaleDateString()} ${time}`;
}

/** A sentence of the server, with instants in the reader's own time and without what the page counts beside it. */
export function told(sentence: string | undefined): string {
  const own = (text: string): string => clock(`${new Date().toISOString().slice(0, 10)}T${text}Z`).slice(-8);
  return (sentence ?? "").replace(/ It should (be done|end) .*$/, "").replace(/(\d\d:\d\d:\d\d) UTC( \([^)]*\))?/g, (_, text: string) => own(text));
}

export function ago(text: string | null, now: number): string {
  const at = ms(text);
  return at === null ? "–" : `${about((now - at) / 1000)} ago`;
}

/** A span without what changes every second once it is long. */
const about = (seconds: number): string => span(seconds).replace(/ (min|h) \d\d (s|min)$/, " $1");

export const many = (count: number, one: string, more = `${one}s`): string => `${count} ${count === 1 ? one : more}`;

/** A range of spans; one span where both ends read alike. */
export function between(low: number | null | undefined, high: number | null | undefined): string {
  const [last, isShort] = [span(high), (low ?? 0) >= 60 && (high ?? 0) >= IN_MINUTES && (low ?? 0) < IN_MINUTES];
  const first = isShort ? minutesOf(low!) : span(low);
  return first === last ? first : `${first} – ${last}`;
}

/** A band of instants as spans from now. */
export function expected(band: Band | null | undefined, now: number): string {
  if (!band) return "–";
  const [low, high] = [band.p10, band.p90].map((text) => Math.max((Date.parse(text) - now) / 1000, 0)) as [number, number];
  if (high < 1) return "any moment";
  if (low < 1) return `within ${span(high)}`;
  return `in ${between(low, high)}`;
}

export function size(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return "–";
  let value = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB", "TiB"]) {
    if (value < 1024 || unit === "TiB") return `${unit === "B" ? value.toFixed(0) : value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return "";
}

export function shown(value: unknown): string {
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : value.toPrecision(5).replace(/\.?0+$/, "");
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** One of eight hues, the same for a run wherever it is drawn. */
export function hue(id: string): number {
  let sum = 0;
  for (const letter of id) sum = (sum * 31 + letter.charCodeAt(0)) >>> 0;
  return sum % 8;
}
