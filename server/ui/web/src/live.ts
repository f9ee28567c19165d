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

export interface Query<T> { data: T | undefined; problem: Problem | null; isStale: boolean; refresh: () => void }

const known = new Map<string, unknown>();
const MOST_KNOWN = 60;
const PAUSE = 700;

/** What is at a path, kept up to date: after events that `concerns` says matter, and every `seconds` if given. */
export function useQuery<T>(path: string | null, concerns?: (event: RunEvent) => boolean, seconds?: number): Query<T> {
  const [, redraw] = useState(0);
  const [problem, setProblem] = useState<{ path: string; problem: Problem } | null>(null);
  const box = useRef({ path: null as string | null, busy: false, again: false, at: 0, timer: 0 });
  const current = box.current;
  current.path = path;

  const load = async (): Promise<void> => {
    if (current.path === null) return;
    if (current.busy) { current.again = true; return; }
    const wanted = current.path;
    current.busy = true;
    current.at = Date.now();
    try {
      const data = await call<T>(wanted);
      known.delete(wanted);
      known.set(wanted, data);
      if (known.size > MOST_KNOWN) known.delete(known.keys().next().value as string);
      setProblem(null);
    } catch (error) {
      if (error instanceof Problem) setProblem({ path: wanted, problem: error });
      else throw error;
    } finally {
      current.busy = false;
      redraw((count) => count + 1);
      if (current.again || current.path !== wanted) { current.again = false; soon(); }
    }
  };
  const soon = (): void => {
    if (current.timer) return;
    const wait = Math.max(0, PAUSE - (Date.now() - current.at));
    current.timer = window.setTimeout(() => { current.timer = 0; void load(); }, wait);
  };

  useEffect(() => { void load(); }, [path]);
  useEffect(() => {
    if (!seconds) return;
    const timer = setInterval(() => { if (!document.hidden) soon(); }, seconds * 1000);
    return () => clearInterval(timer);
  }, [path, seconds]);
  useEffect(() => () => clearTimeout(current.timer), []);
  useEvents((event) => { if (event === null || concerns?.(event)) soon(); });

  return {
    data: path === null ? undefined : (known.get(path) as T | undefined),
    problem: problem && problem.path === path ? problem.problem : null,
    isStale: problem !== null,
    refresh: soon,
  };
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
