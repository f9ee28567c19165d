// The live stream: one connection for the whole page, opened again when it breaks, going on after the last event seen.

import { useEffect, useRef, useState } from "preact/hooks";
import { call, headers, Problem, type RunEvent } from "./api";

export type Connection = "connecting" | "live" | "lost";
type Listener = (event: RunEvent | null) => void;

const listeners = new Set<Listener>();
const watchers = new Set<(state: Connection) => void>();
let state: Connection = "connecting";
let last = "";

function become(next: Connection): void {
  if (next === state) return;
  state = next;
  watchers.forEach((watch) => watch(next));
}

async function follow(): Promise<void> {
  const answer = await fetch("/api/v1/events", { headers: headers(last ? { "Last-Event-ID": last } : {}) });
  if (!answer.ok || !answer.body) throw new Problem("no stream", answer.status);
  become("live");
  listeners.forEach((listen) => listen(null)); // whatever was missed meanwhile is fetched anew
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const data = block.split("\n").find((line) => line.startsWith("data: "));
      if (!data) continue;
      const event = JSON.parse(data.slice(6)) as RunEvent;
      last = String(event.id);
      listeners.forEach((listen) => listen(event));
    }
  }
}

export async function stayConnected(): Promise<never> {
  for (let failures = 0; ; failures++) {
    const began = Date.now();
    try {
      await follow();
    } catch { /* told by the state below */ }
    if (Date.now() - began > 5000) failures = 0;
    become("lost");
    await new Promise((done) => setTimeout(done, Math.min(500 * 2 ** failures, 8000)));
  }
}

export function useConnection(): Connection {
  const [found, set] = useState(state);
  useEffect(() => {
    watchers.add(set);
    set(state);
    return () => void watchers.delete(set);
  }, []);
  return found;
}

export function useEvents(listen: Listener): void {
  const latest = useRef(listen);
  latest.current = listen;
  useEffect(() => {
    const heard: Listener = (event) => latest.current(event);
    listeners.add(heard);
    return () => void listeners.delete(heard);
  }, []);
}

export interface Query<T> { data: T | undefined; problem: Problem | null; refresh: () => void }

/** What is known of one path: shared by all parts of the page that show it, so that it is asked for once. */
interface Entry {
  path: string; data: unknown; problem: Problem | null; isBusy: boolean; isAgain: boolean; at: number; took: number;
  timer: number; drawers: Set<() => void>;
}

const entries = new Map<string, Entry>();
const MOST_KNOWN = 60;
const PAUSE = 700;
const SHARE = 4; // an answer that took long is not asked for again before some times as long,
const LONGEST_PAUSE = 5000; // but one that waited for a server to start is

function entryOf(path: string): Entry {
  let found = entries.get(path);
  if (!found) {
    found = { path, data: undefined, problem: null, isBusy: false, isAgain: false, at: 0, took: 0, timer: 0, drawers: new Set() };
    entries.set(path, found);
    for (const [key, one] of entries) {
      if (entries.size <= MOST_KNOWN) break;
      if (!one.drawers.size && key !== path) entries.delete(key);
    }
  }
  return found;
}

async function load(entry: Entry): Promise<void> {
  if (entry.isBusy) { entry.isAgain = true; return; }
  entry.isBusy = true;
  entry.at = Date.now();
  try {
    entry.data = await call(entry.path);
    entry.problem = null;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    entry.problem = error;
  } finally {
    entry.took = Date.now() - entry.at;
    entry.isBusy = false;
    entry.drawers.forEach((draw) => draw());
    if (entry.isAgain) { entry.isAgain = false; soon(entry); }
  }
}

function soon(entry: Entry): void {
  if (entry.timer || !entry.drawers.size) return;
  const wait = Math.max(0, Math.max(PAUSE, Math.min(SHARE * entry.took, LONGEST_PAUSE)) - (Date.now() - entry.at));
  entry.timer = window.setTimeout(() => { entry.timer = 0; void load(entry); }, wait);
}

/** What is at a path, kept up to date: after events that `concerns` says matter, and every `seconds` if given. */
export function useQuery<T>(path: string | null, concerns?: (event: RunEvent) => boolean, seconds?: number): Query<T> {
  const [, redraw] = useState(0);
  const entry = path === null ? null : entryOf(path);
  useEffect(() => {
    if (!entry) return;
    const draw = (): void => redraw((count) => count + 1);
    entries.set(entry.path, entry);
    entry.drawers.add(draw);
    if (!entry.isBusy && Date.now() - entry.at > PAUSE) void load(entry);
    else if (!entry.isBusy) soon(entry);
    return () => void entry.drawers.delete(draw);
  }, [path]);
  useEffect(() => {
    if (!seconds || !entry) return;
    const timer = setInterval(() => { if (!document.hidden) soon(entry); }, seconds * 1000);
    return () => clearInterval(timer);
  }, [path, seconds]);
  useEvents((event) => { if (entry && (event === null || concerns?.(event))) soon(entry); });
  return { data: entry?.data as T | undefined, problem: entry?.problem ?? null, refresh: () => { if (entry) soon(entry); } };
}

/** The present, told again every `ms`. */
export function useNow(ms = 1000): number {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => { if (!document.hidden) set(Date.now()); }, ms);
    return () => clearInterval(timer);
  }, [ms]);
  return now;
}
