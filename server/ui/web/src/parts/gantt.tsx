// Gantt charts as our own SVG: lanes of bars on one time axis, the prediction as an outline behind what really happened.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { span } from "../words";

export interface Bar {
  id: string; start: number; end: number | null; label: string; title: string; href?: string; tone: string;
  planned?: [number, number] | null; likely?: [number, number, number] | null; queued?: number | null; isPlan?: boolean;
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

export function Gantt({ lanes, from, to, now, label, origin, dense }: {
  lanes: Lane[]; from: number; to: number; now: number | null; label: string; origin?: number; dense?: boolean;
}): JSX.Element {
  const [box, width] = useWidth();
  const present = now ?? to;
  const left = Math.min(width < 520 ? 92 : 190, Math.max(64, 20 + 7.6 * Math.max(...lanes.map((lane) => lane.label.length), 4)));
  const room = width - left - 10;
  const x = (at: number): number => left + ((Math.min(Math.max(at, from), to) - from) / Math.max(to - from, 1)) * room;
  const height = dense ? 18 : ROW;
  let y = 4;
  const drawn = lanes.map((lane) => {
    const rows = packed(lane.bars, present);
    const kept = rows.slice(0, MOST_ROWS);
    const top = y;
    y += Math.max(kept.length, 1) * height + (dense ? 2 : GAP);
    return { lane, rows: kept, hidden: rows.length - kept.length, top, tall: Math.max(kept.length, 1) * height };
  });
  const bottom = y;
  const marks = ticks(from, to, room, origin ?? 0);
  const told = (at: number): string => origin === undefined
    ? new Date(at).toLocaleTimeString([], { hourCycle: "h23", hour: "2-digit", minute: "2-digit", second: (to - from) < 900_000 ? "2-digit" : undefined })
    : at - origin === 0 ? "0" : span((at - origin) / 1000).replace(".0", "");
  return (
    <div class="gantt" ref={box}>
      <svg width={width} height={bottom + 22} role="group" aria-label={label}>
        <g aria-hidden="true">
          {marks.map((at) => <g key={at}><line class="grid" x1={x(at)} x2={x(at)} y1={0} y2={bottom} />{(now === null || Math.abs(x(at) - x(now) - 14) > 46) && <text class="tick" x={x(at)} y={bottom + 15}>{told(at)}</text>}</g>)}
        </g>
        {drawn.map(({ lane, rows, hidden, top, tall }) => (
          <g key={lane.id} data-lane={lane.id}>
            <rect class="lane" x={left} y={top} width={room} height={tall} rx={3} />
            {lane.href
              ? <a href={lane.href}><text class="lane-name" x={left - 8} y={top + height / 2 + 4}>{short(lane.label, left)}</text></a>
              : <text class="lane-name" x={left - 8} y={top + height / 2 + 4}>{short(lane.label, left)}</text>}
            {lane.note && tall >= 2 * height && <text class="lane-note" x={left - 8} y={top + height / 2 + 18}>{lane.note}</text>}
            {rows.map((bars, row) => bars.map((bar) => <OneBar key={bar.id} bar={bar} x={x} y={top + row * height} height={height} now={present} to={to} from={from} />))}
            {hidden > 0 && <text class="lane-note" x={left + room} y={top + tall - 5}>and {hidden} more side by side</text>}
          </g>
        ))}
        {now !== null && now >= from && now <= to && (
          <g aria-hidden="true"><line class="now" x1={x(now)} x2={x(now)} y1={0} y2={bottom} /><text class="now-text" x={x(now) + 4} y={bottom + 15}>now</text></g>
        )}
      </svg>
    </div>
  );
}

function short(text: string, left: number): string {
  const most = Math.floor((left - 14) / 7.2);
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
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
      {bar.planned && <rect class="planned" x={x(bar.planned[0])} y={y + 1} width={Math.max(x(bar.planned[1]) - x(bar.planned[0]), 2)} height={height - 2} rx={4} />}
      {bar.likely && <rect class={`likely ${bar.tone}`} x={x(bar.likely[0])} y={y + height / 2 - 3} width={Math.max(x(bar.likely[2]) - x(bar.likely[0]), 1)} height={6} rx={3} />}
      {bar.queued != null && <rect class={`queued ${bar.tone}`} x={x(bar.queued)} y={y + height / 2 - 2} width={Math.max(x1 - x(bar.queued), 0)} height={4} />}
      <rect class={`bar ${bar.tone}${bar.isPlan ? " plan" : ""}${bar.end === null ? " going" : ""}`} x={x1} y={y + 3} width={wide} height={height - 6} rx={3} />
      {text.length > 2 && <text class={`bar-text${bar.isPlan ? " on-plan" : ""}`} x={x1 + 5} y={y + height / 2 + 4}>{text}</text>}
    </>
  );
  return bar.href ? <a href={bar.href} aria-label={bar.title} data-bar={bar.id}>{inner}</a> : <g data-bar={bar.id}>{inner}</g>;
}
