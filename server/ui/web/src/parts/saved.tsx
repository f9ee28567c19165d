// What the strategy saved, measured against runs left to the platform, or simulated and labelled so.

import type { JSX } from "preact";
import { useQuery } from "../live";
import { link } from "../route";
import { span } from "../words";
import { Card, Fact, Limited } from "./basics";

interface Slower { run_id: string; pipeline?: string; factor: number }
interface Found { saved: { turnaround_seconds: number | null; node_hours: number | null; gpu_hours: number | null; money: number | null }; slower_runs: number; slower: Slower[] }
interface Report {
  kind: string; status: string; sentence: string; strategy: string; baseline: string; currency: string; problem: string; holdout: number;
  measured: (Found & { placed_runs: number; left_out_runs: number }) | null;
  simulated: (Found & { runs: number; change: number; simulator_error: number }) | null;
}

const DAYS = 30;
const hours = (value: number | null): string => value === null ? "–" : `${value.toFixed(Math.abs(value) < 10 ? 2 : 0).replace(/^-(0[.0]*)$/, "$1")} h`;
const signed = (value: number | null): string => value === null ? "–" : `${value < 0 ? "−" : ""}${span(Math.abs(value))}`;

/** Nothing where the server does not report. */
export function Saved(): JSX.Element | null {
  const { data } = useQuery<Report>(`/api/v1/report?days=${DAYS}`, undefined, 60);
  if (!data) return null;
  const found = data.measured ?? data.simulated;
  const label = data.measured ? "measured" : data.simulated ? "simulated" : data.status === "working" ? "being worked out" : "not known";
  return (
    <Card title="What it saved" wide aside={<span class={`verdict v-${data.measured ? "free" : "not-there-yet"}`}>{label}, last {DAYS} days</span>}>
      <p class="sentence">{capital(data.sentence)}{/[.!]$/.test(data.sentence) ? "" : "."}</p>
      {data.problem && !data.sentence.includes(data.problem) && <p class="reason">{data.problem}</p>}
      {found && <dl class="facts">
        <Fact name="turnaround, all runs together">{signed(found.saved.turnaround_seconds)}</Fact>
        <Fact name="node-hours">{hours(found.saved.node_hours)}</Fact>
        {Boolean(found.saved.gpu_hours) && <Fact name="GPU-hours">{hours(found.saved.gpu_hours)}</Fact>}
        {found.saved.money !== null && <Fact name="money">{(Math.round(found.saved.money * 100) / 100 + 0).toFixed(2)} {data.currency}</Fact>}
        <Fact name="runs made slower">{found.slower_runs}</Fact>
        {data.simulated && !data.measured && <Fact name="error of the simulator">{(data.simulated.simulator_error * 100).toFixed(1)} %</Fact>}
        <Fact name="against">{data.baseline}</Fact>
      </dl>}
      {found && found.slower.length > 0 && <details><summary>runs made slower</summary><Limited items={found.slower} most={10}>{(items) => <ul class="rows">{items.map((one) => <li key={one.run_id}><div class="grow"><a href={link(["runs", one.run_id])}>{one.run_id}</a></div><span class="quiet">{one.factor.toFixed(2)} times as long</span></li>)}</ul>}</Limited></details>}
      {!data.measured && !data.holdout && <p class="quiet">The setting <code>HOLDOUT=10%</code> leaves that share of runs to the platform, so that this can be measured.</p>}
    </Card>
  );
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
