import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Amounts, NodeView, Stretch } from "../api";
import { useNow, useQuery } from "../live";
import { Broken, Card, Copy, Empty, Fact, Key, Limited, Meter, Shown } from "../parts/basics";
import { useWidth } from "../parts/gantt";
import { link } from "../route";
import { many, size, span } from "../words";
import { Problem } from "../api";

const RANGES: [string, number][] = [["5 min", 300], ["1 h", 3600], ["6 h", 21600], ["1 day", 86400]];

export function Nodes(): JSX.Element {
  const now = useNow(5000);
  const [past, setPast] = useState(300);
  const nodes = useQuery<{ nodes: NodeView[]; problems: Record<string, string>; taken_at: string }>("/api/v1/nodes", () => true, 5);
  const lately = useQuery<{ stretches: Stretch[] }>(`/api/v1/timeline?seconds=${past}`, () => true, 10);
  return (
    <>
      <h1>Nodes</h1>
      <Shown query={nodes}>{({ nodes: found, problems, taken_at }) => (
        <>
          {Object.entries(problems).map(([name, text]) => <Broken key={name} problem={new Problem(`${name}: ${text}`, 0)} />)}
          {found.length === 0 ? <Empty>The cluster has no nodes.</Empty> : <>
            <p class="lead">{summary(found)} Seen {span((now - Date.parse(taken_at)) / 1000)} ago.{!found.some((node) => node.load) && <> Their load is not measured: the setting <code>PROMETHEUS_URL</code> brings it.</>}</p>
            <Card title="Busy over time" wide aside={<div class="choices" role="group" aria-label="How far back">{RANGES.map(([name, seconds]) => <button key={name} type="button" class="small" aria-pressed={past === seconds} onClick={() => setPast(seconds)}>{name}</button>)}</div>}>
              <Heat nodes={found} stretches={lately.data?.stretches ?? []} now={now} past={past} />
            </Card>
            <Limited items={found} most={48}>{(items) => <div class="grid">{items.map((node) => <One key={node.name} node={node} />)}</div>}</Limited>
          </>}
        </>
      )}</Shown>
    </>
  );
}

function summary(nodes: NodeView[]): string {
  const real = nodes.filter((node) => !node.is_virtual);
  const ready = real.filter((node) => node.is_ready && node.is_schedulable);
  const running = nodes.reduce((sum, node) => sum + node.running.length, 0);
  return `${ready.length} of ${real.length} nodes take tasks${nodes.length > real.length ? `, ${nodes.length - real.length} more can be added` : ""}; ${running} task${running === 1 ? "" : "s"} on them.`;
}

/** Node x time: how many tasks ran there on average in each cell, darker for more. */
function Heat({ nodes, stretches, now, past }: { nodes: NodeView[]; stretches: Stretch[]; now: number; past: number }): JSX.Element {
  const [box, width] = useWidth();
  const left = Math.min(190, 22 + 7.6 * Math.max(...nodes.map((node) => node.name.length)));
  const count = Math.max(12, Math.min(72, Math.floor((width - left) / 14)));
  const from = now - past * 1000;
  const cell = (past * 1000) / count;
  const table = nodes.map((node) => {
    const sums = new Array<number>(count).fill(0);
    for (const one of stretches) {
      if (one.node !== node.name || !one.started_at) continue;
      const [start, end] = [Math.max(Date.parse(one.started_at), from), one.ended_at ? Date.parse(one.ended_at) : now];
      for (let at = Math.floor((start - from) / cell); at < count && from + at * cell < end; at++) {
        if (at >= 0) sums[at] += Math.max(0, Math.min(end, from + (at + 1) * cell) - Math.max(start, from + at * cell)) / cell;
      }
    }
    return sums;
  });
  const most = Math.max(1, ...table.flat());
  const step = (width - left) / count;
  const tall = nodes.length > 40 ? 12 : 22;
  return (
    <div class="gantt" ref={box}>
      <svg width={width} height={nodes.length * (tall + 3) + 22} role="img" aria-label={`Tasks at a time on each node over the last ${span(past)}: ${nodes.map((node, index) => `${node.name} ${(table[index].reduce((a, b) => a + b, 0) / count).toFixed(1)} on average`).join(", ")}`}>
        {nodes.map((node, row) => (
          <g key={node.name}>
            {tall > 12 && <text class="lane-name" x={left - 8} y={row * (tall + 3) + 15}>{node.name.slice(0, 18)}</text>}
            {table[row].map((value, index) => <rect key={index} class="heat" x={left + index * step} y={row * (tall + 3)} width={Math.max(step - 1.5, 1)} height={tall} rx={2} style={{ fillOpacity: `${0.08 + 0.92 * (value / most)}` }}><title>{`${node.name}: ${value.toFixed(1)} tasks at a time`}</title></rect>)}
          </g>))}
        <text class="tick" text-anchor="start" x={left} y={nodes.length * (tall + 3) + 15}>{span(past).replace(" 00 s", "").replace(" 00 min", "")} ago</text><text class="tick" text-anchor="end" x={width - 2} y={nodes.length * (tall + 3) + 15}>now</text>
      </svg>
      <p class="legend" aria-hidden="true"><Key look="heat-low">idle</Key><Key look="heat-high">{many(Math.round(most * 10) / 10, "task")} at a time</Key></p>
    </div>
  );
}

function One({ node }: { node: NodeView }): JSX.Element {
  const state = node.is_virtual ? "can be added" : !node.is_ready ? "not ready" : !node.is_schedulable ? "cordoned" : "ready";
  const share = (name: "cpu_millicores" | "memory_bytes", of: Amounts): number => node.allocatable[name] ? of[name] / node.allocatable[name] : 0;
  return (
    <section class="card" aria-label={`Node ${node.name}`}>
      <header class="card-head"><h2>{node.name}</h2><span class={`verdict v-${state === "ready" ? "free" : state === "can be added" ? "not-there-yet" : "never"}`}>{state}</span></header>
      <div class="pair"><span>CPUs</span><Meter value={share("cpu_millicores", node.allocated)} label={`CPUs promised on ${node.name}`} /><span class="num">{node.allocated.cpu_millicores / 1000} of {node.allocatable.cpu_millicores / 1000}</span></div>
      {node.load?.cpu_fraction != null && <div class="pair"><span>measured</span><Meter value={node.load.cpu_fraction} label={`CPU measured on ${node.name}`} tone="s-running" /><span class="num">{Math.round(node.load.cpu_fraction * 100)} %</span></div>}
      <div class="pair"><span>memory</span><Meter value={share("memory_bytes", node.allocated)} label={`Memory promised on ${node.name}`} /><span class="num">{size(node.allocated.memory_bytes)} of {size(node.allocatable.memory_bytes)}</span></div>
      {node.load?.memory_fraction != null && <div class="pair"><span>measured</span><Meter value={node.load.memory_fraction} label={`Memory measured on ${node.name}`} tone="s-running" /><span class="num">{Math.round(node.load.memory_fraction * 100)} %</span></div>}
      {Object.entries(node.allocatable.accelerators).map(([kind, count]) => <div key={kind} class="pair"><span>{kind.split("/").pop()}</span><Meter value={(node.allocated.accelerators[kind] ?? 0) / count} label={`${kind} promised on ${node.name}`} /><span class="num">{node.allocated.accelerators[kind] ?? 0} of {count}</span></div>)}
      <dl class="facts">
        <Fact name="speed">{node.speed}</Fact>
        {Object.entries(node.profile).map(([kind, speed]) => <Fact key={kind} name={`${kind} (profile)`}>{speed.toFixed(2)}</Fact>)}<Fact name="tasks so far">{node.assignments}</Fact>
        {node.price_per_hour !== null && <Fact name="rate">{node.price_per_hour} / h</Fact>}
        {node.taints.length > 0 && <Fact name="taints">{node.taints.map((taint) => `${taint.key}=${taint.value}:${taint.effect}`).join(", ")}</Fact>}
      </dl>
      {node.running.length ? <ul class="rows">{node.running.slice(0, 8).map((one) => <li key={one.run_id + one.task}><span aria-hidden="true">▶</span><div class="grow"><a href={link(["runs", one.run_id, "tasks", one.task])}>{one.task}</a> <span class="quiet">of {one.run_id}</span></div></li>)}{node.running.length > 8 && <li class="quiet">and {node.running.length - 8} more</li>}</ul> : <p class="quiet">nothing runs here</p>}
      {Object.keys(node.labels).length > 0 && <details><summary>labels</summary><dl class="outputs">{Object.entries(node.labels).map(([name, value]) => <div key={name}><dt>{name}</dt><dd><code>{value}</code></dd></div>)}</dl></details>}
      <details><summary>what if</summary><p><Copy text={`mlopx plan --add-node ${node.name}`} /></p><p><Copy text={`mlopx plan --remove-node ${node.name}`} /></p></details>
    </section>
  );
}
