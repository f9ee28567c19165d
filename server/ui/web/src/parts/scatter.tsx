// Predicted against actual run times of tasks, both on logarithmic axes: on the line, the prediction was right.

import type { JSX } from "preact";
import type { Stretch } from "../api";
import { many, ms, span } from "../words";
import { useWidth } from "./gantt";
import { Empty } from "./basics";

const [LEFT, BOTTOM, TALL] = [52, 34, 300];
const MOST = 1000;
const STEPS = [0.01, 0.1, 1, 10, 60, 600, 3600, 36_000, 360_000];

interface Point { predicted: number; actual: number; title: string }

function pointOf(one: Stretch): Point | null {
  const [start, end, from, to] = [ms(one.started_at), ms(one.ended_at), ms(one.planned_start_at), ms(one.planned_finish_at)];
  if (start === null || end === null || from === null || to === null || one.state !== "succeeded") return null;
  const [predicted, actual] = [Math.max((to - from) / 1000, 0.001), Math.max((end - start) / 1000, 0.001)];
  return { predicted, actual, title: `${one.task} of ${one.run_id} on ${one.node}: predicted ${span(predicted)}, ran ${span(actual)}` };
}

export function Scatter({ stretches }: { stretches: Stretch[] }): JSX.Element {
  const [box, width] = useWidth();
  const points = stretches.map(pointOf).filter((one): one is Point => one !== null).slice(-MOST);
  if (!points.length) return <Empty>No task has ended since the server started whose run time it had predicted.</Empty>;
  const all = points.flatMap((one) => [one.predicted, one.actual]);
  const [low, high] = [Math.log(Math.min(...all) * 0.8), Math.log(Math.max(...all) * 1.25)];
  const room = { x: Math.min(width, 560) - LEFT - 12, y: TALL - BOTTOM - 8 };
  const x = (seconds: number): number => LEFT + ((Math.log(seconds) - low) / (high - low)) * room.x;
  const y = (seconds: number): number => 8 + room.y - ((Math.log(seconds) - low) / (high - low)) * room.y;
  const marks = STEPS.filter((one) => Math.log(one) > low && Math.log(one) < high);
  const [first, last] = [Math.exp(low), Math.exp(high)];
  const close = points.filter((one) => one.actual < 1.5 * one.predicted && one.actual > one.predicted / 1.5).length;
  return (
    <div class="gantt" ref={box}>
      <svg width={Math.min(width, 560)} height={TALL} role="img" aria-label={`Predicted against actual run times of ${points.length} tasks in the last day: ${close} within a factor of 1.5`}>
        <rect class="lane" x={LEFT} y={8} width={room.x} height={room.y} />
        {marks.map((one) => <g key={one}><line class="grid" x1={x(one)} x2={x(one)} y1={8} y2={8 + room.y} /><line class="grid" x1={LEFT} x2={LEFT + room.x} y1={y(one)} y2={y(one)} /><text class="tick" text-anchor="middle" x={x(one)} y={TALL - BOTTOM + 16}>{mark(one)}</text><text class="tick" text-anchor="end" x={LEFT - 6} y={y(one) + 4}>{mark(one)}</text></g>)}
        <line class="diagonal" x1={x(first)} y1={y(first)} x2={x(last)} y2={y(last)} />
        {points.map((one, index) => <circle key={index} class="dot" cx={x(one.predicted)} cy={y(one.actual)} r={3.5}><title>{one.title}</title></circle>)}
        <text class="tick" text-anchor="middle" x={LEFT + room.x / 2} y={TALL - 3}>predicted run time</text>
        <text class="tick" text-anchor="middle" transform={`translate(11 ${8 + room.y / 2}) rotate(-90)`}>actual run time</text>
      </svg>
      <p class="legend">{many(points.length, "task")} of the last day that this server process predicted; above the line, they took longer than that</p>
    </div>
  );
}

const mark = (seconds: number): string => seconds < 1 ? `${seconds} s` : span(seconds).replace(".0", "").replace(" 00 s", "").replace(" 00 min", "");
