// What runs where now, what ran before and what comes next: one lane per node.

import type { JSX } from "preact";
import type { NodeView, QueueEntry, Stretch } from "../api";
import { link } from "../route";
import { clock, expected, hue, ms, span } from "../words";
import { type Bar, Gantt } from "./gantt";

export function barOf(one: Stretch, now: number): Bar | null {
  const start = ms(one.started_at);
  if (start === null) return null;
  const end = ms(one.ended_at);
  const till = one.ends && end === null ? ([one.ends.p10, one.ends.p50, one.ends.p90].map(Date.parse) as [number, number, number]) : null;
  const when = end === null
    ? `running since ${clock(one.started_at)} (${span((now - start) / 1000)})${one.ends ? `, done ${expected(one.ends, now)}` : ""}`
    : `${one.state}, ${span((end - start) / 1000)}, ended ${clock(one.ended_at)}`;
  return {
    id: `${one.run_id}/${one.task}/${one.started_at}`,
    start,
    end,
    label: `${one.task} · ${one.name}`,
    title: `${one.task} of ${one.run_id} on ${one.node}: ${when}`,
    href: link(["runs", one.run_id, "tasks", one.task]),
    tone: one.state === "failed" || one.state === "lost" || one.state === "oom" || one.state === "timeout" ? "bad" : `h${hue(one.run_id)}`,
    likely: till,
  };
}

export function NowChart({ nodes, stretches, queue, at, past }: {
  nodes: NodeView[]; stretches: Stretch[]; queue: QueueEntry[]; at: number; past: number;
}): JSX.Element {
  const from = at - past * 1000;
  const comes: Bar[] = [];
  let ahead = past * 300;
  const lanes = nodes.map((node) => {
    const bars = stretches.filter((one) => one.node === node.name).map((one) => barOf(one, at)).filter((bar): bar is Bar => bar !== null);
    for (const one of queue) {
      if (one.planned_node !== node.name || !one.starts || !one.ends) continue;
      const [start, end] = [Date.parse(one.starts.p50), Date.parse(one.ends.p50)];
      comes.push({
        id: `plan/${one.run_id}/${one.task}`, start, end: Math.max(end, start + 50), label: `${one.task} · ${one.run_name}`,
        title: `${one.task} of ${one.run_id}: planned on ${node.name}, starts ${expected(one.starts, at)}, done ${expected(one.ends, at)}`,
        href: link(["runs", one.run_id, "tasks", one.task]), tone: `h${hue(one.run_id)}`, isPlan: true,
      });
      bars.push(comes[comes.length - 1]);
    }
    for (const bar of bars) ahead = Math.max(ahead, Math.min((bar.likely?.[2] ?? bar.end ?? 0) - at, past * 1000));
    const free = Math.max(node.available.cpu_millicores, 0) / 1000;
    return { id: node.name, label: node.name, note: `${free} free`, href: link(["nodes"]), bars };
  });
  return <Gantt lanes={lanes} from={from} to={at + ahead * 1.04} now={at} label="What runs on which node, before and next" />;
}
