// A run's graph with live states. Iterations of a loop are folded into one box, nested pipelines into one that opens.

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Detail, Task } from "../api";
import type { LayoutAnswer, LayoutOrder } from "../layout";
import { isOver, many, SIGNS } from "../words";
import { fitting } from "./fitting";
import { useWidth } from "./gantt";

const [WIDE, TALL] = [188, 46];
const FOLD_FROM = 24;
const SMALLEST_FIT = 0.65; // below this, names are too small to read: the graph is scrolled instead

interface Box { id: string; label: string; tasks: Task[]; isGroup: boolean; isLoop: boolean }

const ORDER = ["failed", "lost", "running", "queued", "placed", "ready", "pending", "cancelled", "succeeded", "skipped"];

/** The state that a box of several tasks shows: the most telling one. */
export function stateOf(tasks: Task[]): string {
  if (!tasks.length) return "pending";
  const found = ORDER.find((state) => tasks.some((task) => task.state === state)) ?? "pending";
  const some = tasks.some((task) => isOver(task.state));
  return found === "pending" && some ? "running" : found;
}

function groupsOf(run: Detail): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const path of Object.keys(run.graph.tasks)) {
    const parts = path.split("/");
    if (parts.length > 1) (found[parts.slice(0, -1).join("/")] ??= []).push(path);
  }
  return found;
}

function boxesOf(run: Detail, folded: Set<string>): { boxes: Box[]; edges: [string, string][] } {
  const byPath = new Map<string, Task[]>();
  for (const task of run.tasks) {
    const own = byPath.get(task.path);
    if (own) own.push(task);
    else byPath.set(task.path, [task]);
  }
  const home = (path: string): string => {
    const parts = path.split("/");
    for (let depth = 1; depth < parts.length; depth++) {
      const prefix = parts.slice(0, depth).join("/");
      if (folded.has(prefix)) return prefix;
    }
    return path;
  };
  const boxes = new Map<string, Box>();
  const edges = new Map<string, [string, string]>();
  for (const [path, task] of Object.entries(run.graph.tasks)) {
    const id = home(path);
    const box = boxes.get(id) ?? { id, label: id.split("/").pop() ?? id, tasks: [], isGroup: id !== path, isLoop: false };
    box.tasks = box.tasks.concat(byPath.get(path) ?? []);
    box.isLoop ||= (byPath.get(path)?.[0]?.iteration.length ?? 0) > 0 || run.graph.scopes[task.scope ?? ""]?.kind === "loop";
    boxes.set(id, box);
    for (const other of task.waits_for) {
      const from = home(other);
      if (from !== id) edges.set(`${from} ${id}`, [from, id]);
    }
  }
  return { boxes: [...boxes.values()], edges: [...edges.values()] };
}

let worker: Worker | null = null;
const waiting = new Map<number, (answer: LayoutAnswer) => void>();
let serial = 0;

/** One worker for the life of the page; it starts while the run is being fetched. */
export function startLayout(): Worker {
  if (worker) return worker;
  worker = new Worker(new URL("../layout.ts", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }: MessageEvent<LayoutAnswer>) => { waiting.get(data.serial)?.(data); waiting.delete(data.serial); };
  return worker;
}

function useLayout(boxes: Box[], edges: [string, string][]): LayoutAnswer | null {
  const [answer, set] = useState<LayoutAnswer | null>(null);
  const shape = boxes.map((box) => box.id).join("|") + "#" + edges.join("|");
  useEffect(() => {
    const mine = ++serial;
    waiting.set(mine, set);
    startLayout().postMessage({ serial: mine, nodes: boxes.map((box) => ({ id: box.id, width: WIDE, height: TALL })), edges } satisfies LayoutOrder);
    return () => void waiting.delete(mine);
  }, [shape]);
  return answer;
}

const FEW = 120; // up to so many boxes all are drawn
const EDGE = 400; // and of more, those that are no further than this from what is in sight

interface Sight { left: number; top: number; right: number; bottom: number }
type Spot = { x: number; y: number };

const isIn = (sight: Sight | null, one: Spot, other: Spot = one): boolean => !sight || (Math.max(one.x, other.x) + WIDE / 2 > sight.left
  && Math.min(one.x, other.x) - WIDE / 2 < sight.right && Math.max(one.y, other.y) + TALL / 2 > sight.top && Math.min(one.y, other.y) - TALL / 2 < sight.bottom);

export function Graph({ run, selected, onSelect }: { run: Detail; selected: string | null; onSelect: (key: string) => void }): JSX.Element {
  const groups = useMemo(() => groupsOf(run), [run.id]);
  const [folded, fold] = useState(() => new Set(Object.keys(run.graph.tasks).length > FOLD_FROM ? Object.keys(groups) : []));
  const [area, width] = useWidth();
  const [chosenZoom, setZoom] = useState<number | null>(null);
  const { boxes, edges } = useMemo(() => boxesOf(run, folded), [run, folded]);
  const seen = useLayout(boxes, edges);
  const [scrolled, setScrolled] = useState("0 0");
  const fit = seen ? Math.min(1, width / seen.width) : 1;
  const zoom = chosenZoom ?? Math.max(fit, SMALLEST_FIT);
  const sight = useMemo((): Sight | null => {
    if (boxes.length <= FEW) return null;
    const [left, top] = scrolled.split(" ").map(Number) as [number, number];
    return { left: (left - EDGE) / zoom, top: (top - EDGE) / zoom, right: (left + window.innerWidth + EDGE) / zoom, bottom: (top + window.innerHeight + EDGE) / zoom };
  }, [scrolled, zoom, boxes.length > FEW]);
  const scroll = (box: HTMLElement): void => setScrolled([box.scrollLeft, box.scrollTop].map((at) => Math.floor(at / 200) * 200).join(" "));
  const toggle = (id: string): void => {
    const next = new Set(folded);
    if (!next.delete(id)) next.add(id);
    fold(next);
  };
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const [telling] = boxes.filter((box) => !["pending", "succeeded", "skipped"].includes(stateOf(box.tasks)));
    const spot = seen?.nodes[(telling ?? boxes[0])?.id];
    if (spot) frame.current?.scrollTo(spot.x * zoom - frame.current.clientWidth / 2, spot.y * zoom - frame.current.clientHeight / 2);
  }, [seen === null, fit]);
  const names = Object.keys(groups);
  return (
    <div class="graph" ref={area}>
      <div class="tools">
        <button type="button" class="small" onClick={() => setZoom(Math.max(zoom / 1.25, 0.2))} aria-label="Smaller">−</button>
        <button type="button" class="small" onClick={() => setZoom(1)} aria-label="Actual size">{Math.round(zoom * 100)} %</button>
        <button type="button" class="small" onClick={() => setZoom(Math.min(zoom * 1.25, 2.5))} aria-label="Larger">+</button>
        <button type="button" class="small" onClick={() => setZoom(Math.max(fit, 0.05))}>Fit</button>
        {names.length > 0 && <>
          <button type="button" class="small" onClick={() => fold(new Set(names))}>Fold nested parts</button>
          <button type="button" class="small" onClick={() => fold(new Set())}>Unfold</button>
        </>}
        <span class="quiet">{many(boxes.length, "box", "boxes")}, {many(run.tasks.length, "task")}</span>
      </div>
      <div class="scroll" ref={frame} tabIndex={0} role="region" aria-label="Graph of the run" onScroll={(event) => scroll(event.currentTarget)}>
        {!seen ? <div class="loading"><span class="bar" /><span class="bar" /></div> : (
          <svg width={seen.width * zoom} height={seen.height * zoom} viewBox={`0 0 ${seen.width} ${seen.height}`} role="group" aria-label="Tasks and what they wait for">
            <defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="tip" d="M0,0 L8,4 L0,8 z" /></marker></defs>
            <Edges seen={seen} sight={sight} />
            {boxes.map((box) => seen.nodes[box.id] && isIn(sight, seen.nodes[box.id]) && <OneBox key={box.id} box={box} at={seen.nodes[box.id]} selected={selected} onSelect={onSelect} toggle={toggle} />)}
          </svg>
        )}
      </div>
    </div>
  );
}

function Edges({ seen, sight }: { seen: LayoutAnswer; sight: Sight | null }): JSX.Element {
  return useMemo(() => {
    const drawn = seen.edges.filter((edge) => isIn(sight, seen.nodes[edge.from], seen.nodes[edge.to]));
    return <g aria-hidden="true">{drawn.map((edge) => <path key={`${edge.from} ${edge.to}`} class="edge" d={curve(edge, seen.nodes)} marker-end="url(#tip)" />)}</g>;
  }, [seen, sight]);
}

/** From the middle of one box's right side to the middle of the other's left side, by way of the layout's points. */
function curve(edge: LayoutAnswer["edges"][number], nodes: LayoutAnswer["nodes"]): string {
  const [from, to] = [nodes[edge.from], nodes[edge.to]];
  const points = [{ x: from.x + WIDE / 2, y: from.y }, ...edge.points.slice(1, -1), { x: to.x - WIDE / 2 - 1, y: to.y }];
  let path = `M${points[0].x},${points[0].y}`;
  for (let index = 1; index < points.length; index++) {
    const [before, point] = [points[index - 1], points[index]];
    const middle = (before.x + point.x) / 2;
    path += ` C${middle},${before.y} ${middle},${point.y} ${point.x},${point.y}`;
  }
  return path;
}

function OneBox({ box, at, selected, onSelect, toggle }: {
  box: Box; at: { x: number; y: number }; selected: string | null; onSelect: (key: string) => void; toggle: (id: string) => void;
}): JSX.Element {
  const state = stateOf(box.tasks);
  const done = box.tasks.filter((task) => isOver(task.state)).length;
  const many = box.isGroup || box.isLoop || box.tasks.length > 1;
  const nodes = [...new Set(box.tasks.map((task) => task.node).filter(Boolean))];
  const below = many
    ? `${box.isGroup ? "part" : "loop"} · ${done} of ${box.tasks.length || "?"} done`
    : `${state}${nodes.length ? ` · ${nodes[0]}` : ""}`;
  const isChosen = box.tasks.some((task) => task.key === selected);
  const act = useRef<() => void>(() => {});
  act.current = (): void => {
    if (box.isGroup) toggle(box.id);
    else if (box.tasks.length) onSelect((box.tasks.find((task) => task.state === state) ?? box.tasks[0]).key);
  };
  const label = `${box.label}: ${many ? below : state}${nodes.length ? ` on ${nodes.join(", ")}` : ""}`;
  const choose = (): void => act.current();
  return useMemo(() => (
    <g class={`box s-${state}${isChosen ? " chosen" : ""}`} transform={`translate(${at.x - WIDE / 2},${at.y - TALL / 2})`} data-box={box.id}
      role="button" tabindex={0} aria-label={label} aria-pressed={isChosen} onClick={choose}
      onKeyDown={(event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); } }}>
      <title>{label}</title>
      {many && <rect class="shadow" x={4} y={4} width={WIDE} height={TALL} rx={8} />}
      <rect class="body" width={WIDE} height={TALL} rx={8} />
      <rect class="stripe" width={6} height={TALL} rx={3} />
      <text class="sign" x={20} y={TALL / 2 + 5}>{SIGNS[state]}</text>
      <text class="name" x={34} y={20}>{fitting(box.label, "600 13px", WIDE - 42)}</text>
      <text class="below" x={34} y={36}>{fitting(below, "11px", WIDE - 42)}</text>
      {many && box.tasks.length > 0 && <rect class="done" x={6} y={TALL - 4} width={(WIDE - 12) * (done / box.tasks.length)} height={3} rx={1.5} />}
    </g>
  ), [state, isChosen, label, below, many, done, box.label, box.tasks.length, at.x, at.y]);
}
