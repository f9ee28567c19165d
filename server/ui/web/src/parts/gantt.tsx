// Gantt charts as our own SVG: lanes of bars on one time axis, the prediction as an outline behind what really happened.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { span } from "../words";
import { fitting } from "./fitting";

export interface Bar {
  id: string; start: number; end: number | null; label: string; title: string; href?: string; tone: string; lane?: string;
  planned?: [number, number] | null; likely?: [number, number, number] | null; isPlan?: boolean;
  before?: { kind: string; from: number; to: number }[];
}
export interface Lane { id: string; label: string; note?: string; href?: string; bars: Bar[] }

const ROW = 24;
const GAP = 7;
const MOST_ROWS = 12;

export function useWidth(): [{ current: HTMLDivElement | null }, number] {
  const box = useRef<HTMLDivElement>(null);
  const [width, set] = useState(800);
  useEffect(() => {
    if (!box.current) return;
    const seen = new ResizeObserver(([entry]) => entry && set(Math.max(280, Math.floor(entry.contentRect.width))));
    seen.observe(box.current);
    return () => seen.disconnect();
  }, []);
  return [box, width];
}

const last = (bar: Bar, now: number): number => Math.max(bar.end ?? now, bar.likely?.[2] ?? 0, bar.planned?.[1] ?? 0);

/** Bars spread over as few rows as keep them apart. */
function packed(bars: Bar[], now: number): Bar[][] {
  const rows: { bars: Bar[]; until: number }[] = [];
  for (const bar of [...bars].sort((a, b) => a.start - b.start)) {
    const row = rows.find((one) => one.until <= bar.start + 1);
    const until = Math.max(bar.end ?? now, bar.likely?.[1] ?? 0);
    if (row) { row.bars.push(bar); row.until = until; } else rows.push({ bars: [bar], until });
  }
  return rows.map((row) => row.bars);
}

function ticks(from: number, to: number, room: number, origin: number): number[] {
  const sizes = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 604800];
  const step = (sizes.find((one) => (to - from) / 1000 / one <= room / 80) ?? 604800) * 1000;
  const found: number[] = [];
  for (let at = origin + Math.ceil((from - origin) / step) * step; at <= to; at += step) found.push(at);
  return found;
}

const TALLEST = 900;
const EDGE = 400; // lanes are drawn this far beyond the sight of a tall chart

export function Gantt({ lanes, from, to, now, label, origin, dense }: {
  lanes: Lane[]; from: number; to: number; now: number | null; label: string; origin?: number; dense?: boolean;
}): JSX.Element {
  const [box, width] = useWidth();
  const [scrolled, setScrolled] = useState(0);
  const present = now ?? to;
  const left = Math.min(width < 520 ? 92 : 230, Math.max(64, 24 + 8.6 * Math.max(...lanes.map((lane) => lane.label.length), 4)));
  const room = width - left - 10;
  const x = (at: number): number => left + ((Math.min(Math.max(at, from), to) - from) / Math.max(to - from, 1)) * room;
  const height = dense ? 18 : ROW;
  let y = 4;
  const laid = lanes.map((lane) => {
    const rows = packed(lane.bars.filter((bar) => last(bar, present) >= from && bar.start <= to), present);
    const kept = rows.slice(0, MOST_ROWS);
    const top = y;
    y += Math.max(kept.length, 1) * height + (dense ? 2 : GAP);
    return { lane, rows: kept, hidden: rows.length - kept.length, top, tall: Math.max(kept.length, 1) * height };
  });
  const bottom = y;
  const isTall = bottom > TALLEST;
  const drawn = isTall ? laid.filter((one) => one.top + one.tall > scrolled - EDGE && one.top < scrolled + window.innerHeight + EDGE) : laid;
  const marks = ticks(from, to, room, origin ?? 0);
  const told = (at: number): string => origin === undefined
    ? new Date(at).toLocaleTimeString([], { hourCycle: "h23", hour: "2-digit", minute: "2-digit", second: (to - from) < 900_000 ? "2-digit" : undefined })
    : at - origin === 0 ? "0" : span((at - origin) / 1000).replace(".0", "").replace(" 00 s", "").replace(" 00 min", "");
  const at = (text: string, where: number, kind: string): JSX.Element => <text class={kind} x={Math.min(where, width - 2)} y={15} text-anchor={where > width - 28 ? "end" : "middle"}>{text}</text>;
  const axis = (
    <svg class="axis" width={width} height={20} aria-hidden="true">
      {marks.map((mark) => (now === null || Math.abs(x(mark) - x(now)) > 48) && <g key={mark}>{at(told(mark), x(mark), "tick")}</g>)}
      {now !== null && now >= from && now <= to && at("now", x(now), "now-text")}
    </svg>
  );
  return (
    <div class={isTall ? "gantt tall" : "gantt"} ref={box} {...(isTall ? { tabIndex: 0, role: "region", "aria-label": label, onScroll: (event: { currentTarget: HTMLElement }) => setScrolled(Math.floor(event.currentTarget.scrollTop / 200) * 200) } : {})}>
      {isTall && axis}
      <svg width={width} height={bottom} role="group" aria-label={label}>
        <g aria-hidden="true">{marks.map((mark) => <line key={mark} class="grid" x1={x(mark)} x2={x(mark)} y1={0} y2={bottom} />)}</g>
        {drawn.map(({ lane, rows, hidden, top, tall }) => (
          <g key={lane.id} data-lane={lane.id}>
            <rect class="lane" x={left} y={top} width={room} height={tall} rx={3} />
            {lane.href
              ? <a href={lane.href}><title>{lane.label}</title><text class="lane-name" x={left - 8} y={top + height / 2 + 4}>{fitting(lane.label, "600 12.5px", left - 12)}</text></a>
              : <text class="lane-name" x={left - 8} y={top + height / 2 + 4}>{fitting(lane.label, "600 12.5px", left - 12)}</text>}
            {lane.note && tall >= 2 * height && <text class="lane-note" x={left - 8} y={top + height / 2 + 18}>{lane.note}</text>}
            {rows.map((bars, row) => bars.map((bar) => <Around key={bar.id} bar={bar} x={x} y={top + row * height} height={height} />))}
            {rows.map((bars, row) => bars.map((bar) => <OneBar key={bar.id} bar={bar} x={x} y={top + row * height} height={height} now={present} to={to} from={from} />))}
            {hidden > 0 && <text class="lane-note" x={left + room} y={top + tall - 5}>and {hidden} more side by side</text>}
          </g>
        ))}
        {now !== null && now >= from && now <= to && <line class="now" aria-hidden="true" x1={x(now)} x2={x(now)} y1={0} y2={bottom} />}
      </svg>
      {!isTall && axis}
    </div>
  );
}

/** What was predicted of a bar and what came before it, drawn under all bars of the lane. */
function Around({ bar, x, y, height }: { bar: Bar; x: (at: number) => number; y: number; height: number }): JSX.Element {
  const wide = (from: number, to: number): number => Math.max(x(to) - x(from), 0);
  return (
    <g aria-hidden="true" class="around">
      {bar.planned && <rect class="planned" x={x(bar.planned[0])} y={y + 1} width={Math.max(wide(...bar.planned), 2)} height={height - 2} rx={4} />}
      {bar.likely && <rect class={`likely ${bar.tone}`} x={x(bar.likely[0])} y={y + height / 2 - 3} width={Math.max(wide(bar.likely[0], bar.likely[2]), 1)} height={6} rx={3} />}
      {bar.before?.map((one) => <rect key={one.kind} class={`before b-${one.kind}`} x={x(one.from)} y={y + height / 2 - 3} width={wide(one.from, one.to)} height={6} />)}
    </g>
  );
}

function OneBar({ bar, x, y, height, now, from, to }: {
  bar: Bar; x: (at: number) => number; y: number; height: number; now: number; from: number; to: number;
}): JSX.Element | null {
  if (last(bar, now) < from || bar.start > to) return null;
  const end = bar.end ?? Math.max(now, bar.start);
  const [x1, x2] = [x(bar.start), x(end)];
  const wide = Math.max(x2 - x1, 2);
  const text = wide > 26 ? bar.label.slice(0, Math.floor((wide - 8) / 6.3)) : "";
  const inner = (
    <>
      <title>{bar.title}</title>
      <rect class={`bar ${bar.tone}${bar.isPlan ? " plan" : ""}${bar.end === null ? " going" : ""}`} x={x1} y={y + 3} width={wide} height={height - 6} rx={3} />
      {text.length > 2 && <text class={`bar-text${bar.isPlan ? " on-plan" : ""}`} x={x1 + 5} y={y + height / 2 + 4}>{text}</text>}
    </>
  );
  return bar.href ? <a href={bar.href} aria-label={bar.title} data-bar={bar.id}>{inner}</a> : <g data-bar={bar.id}>{inner}</g>;
}
