// Pipelines that are submitted again and again: when next, what became of the last times, and a button to pause each.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { call, Problem } from "../api";
import { useNow, useQuery } from "../live";
import { link } from "../route";
import { ago, clock, span } from "../words";
import { Broken, Card } from "./basics";

interface Firing { due_at: string; outcome: string; run_id: string | null; reason: string }
interface Schedule {
  name: string; pipeline: string; cron: string; zone: string; is_paused: boolean; next_at: string | null; firings: Firing[];
}

/** Nothing where there are none. */
export function Schedules(): JSX.Element | null {
  const found = useQuery<{ schedules: Schedule[] }>("/api/v1/schedules", (event) => event.kind === "run-submitted", 30);
  const [problem, setProblem] = useState<Problem | null>(null);
  const now = useNow(5000);
  if (!found.data?.schedules.length) return null;
  const turn = async (one: Schedule): Promise<void> => {
    try {
      await call(`/api/v1/schedules/${encodeURIComponent(one.name)}/${one.is_paused ? "resume" : "pause"}`, {});
      setProblem(null);
    } catch (error) {
      setProblem(error as Problem);
    }
    found.refresh();
  };
  return (
    <Card title="Schedules" wide>
      {problem && <Broken problem={problem} />}
      <ul class="rows">{found.data.schedules.map((one) => <Row key={one.name} one={one} now={now} turn={() => void turn(one)} />)}</ul>
    </Card>
  );
}

function Row({ one, now, turn }: { one: Schedule; now: number; turn: () => void }): JSX.Element {
  const last = one.firings[0];
  const next = one.next_at ? (Date.parse(one.next_at) - now) / 1000 : null;
  return (
    <li>
      <div class="grow"><strong>{one.name}</strong> <span class="quiet">{one.pipeline === one.name ? "" : `${one.pipeline}, `}<code>{one.cron}</code> {one.zone}</span>
        <div class="reason">{one.is_paused ? "paused: nothing is submitted until it is resumed" : next === null ? "no time is left" : next < 1 ? "due now" : <>next in <strong>{span(next)}</strong>, at {clock(one.next_at)}</>}</div>
        {last && <div class="quiet">last: {last.run_id ? <a href={link(["runs", last.run_id])}>{last.run_id}</a> : last.outcome}, due {ago(last.due_at, now)}{last.reason ? `: ${last.reason}` : ""}</div>}
      </div>
      <button type="button" onClick={turn} aria-label={`${one.is_paused ? "Resume" : "Pause"} ${one.name}`}>{one.is_paused ? "Resume" : "Pause"}</button>
    </li>
  );
}
