import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Explained, NodeView, QueueEntry, Run, Stretch } from "../api";
import { runPath } from "../api";
import { useNow, useQuery } from "../live";
import { Card, Copy, Empty, Key, Meter, Shown, State } from "../parts/basics";
import { NowChart } from "../parts/cluster";
import { Saved } from "../parts/saved";
import { link } from "../route";
import { ago, clock, expected, isOver, many, size, span } from "../words";

interface Status { placer: string; platform: string; runs: Record<string, number>; pipelines: string[]; version: string; preparing?: string }

const RANGES: [string, number][] = [["auto", 0], ["1 min", 60], ["5 min", 300], ["30 min", 1800], ["3 h", 10800]];

/** How far back to look so that every live run is in sight; with none, so that the last one is. */
function reach(runs: Run[], now: number): number {
  const live = runs.filter((run) => !isOver(run.state) && run.started_at);
  const oldest = live.length ? Math.min(...live.map((run) => Date.parse(run.submitted_at))) : runs.length ? Date.parse(runs[0].submitted_at) : now;
  return RANGES.find(([, seconds]) => seconds && (now - oldest) / 1000 < seconds * 0.95)?.[1] ?? 10800;
}

export function Overview(): JSX.Element {
  const any = (): boolean => true;
  const now = useNow(1000);
  const [chosen, setPast] = useState(Number(localStorage.getItem("mlopx-past")) || 0);
  const status = useQuery<Status>("/", any, 10);
  const nodes = useQuery<{ nodes: NodeView[]; problems: Record<string, string> }>("/api/v1/nodes", any, 5);
  const queue = useQuery<{ tasks: QueueEntry[] }>("/api/v1/queue", any, 5);
  const runs = useQuery<{ runs: Run[] }>("/api/v1/runs?limit=30", any);
  const past = chosen || reach(runs.data?.runs ?? [], now);
  const lately = useQuery<{ stretches: Stretch[] }>(`/api/v1/timeline?seconds=${past}`, any, 10);
  const choose = (seconds: number): void => { localStorage.setItem("mlopx-past", String(seconds)); setPast(seconds); };
  return (
    <>
      <h1>Overview</h1>
      <Shown query={status}>{(found) => <>{found.preparing && <p class="note-line" role="status">{found.preparing}.</p>}<Tiles status={found} queue={queue.data?.tasks ?? []} nodes={nodes.data?.nodes ?? []} /></>}</Shown>
      <Card title="On the nodes" wide aside={
        <div class="choices" role="group" aria-label="How far back">
          {RANGES.map(([name, seconds]) => <button key={name} type="button" class="small" aria-pressed={chosen === seconds} onClick={() => choose(seconds)}>{name}</button>)}
        </div>}>
        <Shown query={nodes}>{({ nodes: found, problems }) => found.length === 0
          ? <Empty>No nodes. The server's cluster is empty{Object.values(problems).map((text) => `: ${text}`)}.</Empty>
          : <>
            <NowChart nodes={found} stretches={lately.data?.stretches ?? []} queue={queue.data?.tasks ?? []} at={now} past={past} />
            <p class="legend"><Key look="solid">ran or runs</Key><Key look="thin">when it may end</Key><Key look="dashed">planned next</Key><span>one colour per run</span></p>
          </>}
        </Shown>
      </Card>
      <div class="columns"><div>
        <Card title="Running now" aside={<a href="#/nodes">All nodes</a>}>
          <Shown query={lately}>{({ stretches }) => <RunningNow stretches={stretches.filter((one) => !one.ended_at && one.started_at)} now={now} />}</Shown>
        </Card>
        <Card title="Waiting" aside={<span class="quiet">{queue.data?.tasks.length ? many(queue.data.tasks.length, "task") : ""}</span>}>
          <Shown query={queue}>{({ tasks }) => <Queue tasks={tasks} now={now} />}</Shown>
        </Card></div>
        <Card title="Runs" aside={<a href="#/runs">All runs</a>}>
          <Shown query={runs}>{({ runs: found }) => <Recent runs={found} now={now} pipelines={status.data?.pipelines ?? []} />}</Shown>
        </Card>
      </div>
      {Boolean(runs.data?.runs.length) && <Saved />}
    </>
  );
}

function Tiles({ status, queue, nodes }: { status: Status; queue: QueueEntry[]; nodes: NodeView[] }): JSX.Element {
  const count = (...states: string[]): number => states.reduce((sum, state) => sum + (status.runs[state] ?? 0), 0);
  const real = nodes.filter((node) => !node.is_virtual);
  const has = real.reduce((sum, node) => sum + node.allocatable.cpu_millicores, 0);
  const used = real.reduce((sum, node) => sum + node.allocated.cpu_millicores, 0);
  const memory = real.reduce((sum, node) => sum + node.allocatable.memory_bytes, 0);
  const taken = real.reduce((sum, node) => sum + node.allocated.memory_bytes, 0);
  const ready = queue.filter((entry) => entry.state === "ready").length;
  const tiles: [string, number, string, string][] = [
    ["Running", count("running", "finishing", "dispatched", "cancelling"), "s-running", "running"],
    ["Waiting", count("waiting"), "s-waiting", "waiting"],
    ["Succeeded", count("succeeded"), "s-succeeded", "succeeded"],
    ["Failed", count("failed"), "s-failed", "failed"],
  ];
  return (
    <div class="tiles">
      {tiles.map(([name, value, tone, state]) => (
        <a key={name} class={`tile ${tone}`} href={link(["runs"], { state })}><span class="number">{value}</span><span class="what">{name} runs</span></a>
      ))}
      <a class="tile" href="#/nodes"><span class="number">{has ? Math.round((used / has) * 100) : 0}<small> %</small></span>
        <span class="what">CPUs promised: {used / 1000} of {has / 1000}</span><Meter value={has ? used / has : 0} label="CPUs promised" /></a>
      <a class="tile" href="#/nodes"><span class="number">{memory ? Math.round((taken / memory) * 100) : 0}<small> %</small></span>
        <span class="what">Memory promised: {size(taken)} of {size(memory)}</span><Meter value={memory ? taken / memory : 0} label="Memory promised" /></a>
      <a class="tile" href="#/strategies"><span class="number word">{status.placer}</span><span class="what">strategy; {many(ready, "task")} ready to be placed</span></a>
    </div>
  );
}

function RunningNow({ stretches, now }: { stretches: Stretch[]; now: number }): JSX.Element {
  if (!stretches.length) return <Empty>Nothing runs at the moment.</Empty>;
  const shown = [...stretches].sort((a, b) => (a.started_at ?? "").localeCompare(b.started_at ?? "")).slice(0, 12);
  return (
    <>
      <ul class="rows">{shown.map((one) => <RunningRow key={`${one.run_id}/${one.task}`} one={one} now={now} />)}</ul>
      {stretches.length > shown.length && <p class="quiet">and {stretches.length - shown.length} more: <a href="#/nodes">all nodes</a></p>}
    </>
  );
}

function RunningRow({ one, now }: { one: Stretch; now: number }): JSX.Element {
  const why = useQuery<Explained>(`${runPath(one.run_id)}/explain`, (event) => event.run_id === one.run_id, 10);
  const line = why.data?.tasks.find((task) => task.task === one.task);
  return (
    <li><div class="grow">
      <a class="strong" href={link(["runs", one.run_id, "tasks", one.task])}>{one.task}</a> <span class="quiet">of <a href={link(["runs", one.run_id])}>{one.run_id}</a></span>
      <div class="reason">on <strong>{one.node}</strong> since {clock(one.started_at)} ({span((now - Date.parse(one.started_at ?? "")) / 1000)}), {one.ends ? <>done <strong>{expected(one.ends, now)}</strong></> : "when it is done is not known yet"}</div>
      {line?.why && <div class="quiet clamped" title={line.why}>{line.why}</div>}
    </div></li>
  );
}

function Queue({ tasks, now }: { tasks: QueueEntry[]; now: number }): JSX.Element {
  if (!tasks.length) return <Empty>Nothing waits: every task that is ready has its node.</Empty>;
  const byRun = new Map<string, QueueEntry[]>();
  for (const one of tasks) byRun.set(one.run_id, [...(byRun.get(one.run_id) ?? []), one]);
  const heads = [...byRun.values()].slice(0, 12);
  return (
    <>
      <ol class="queue">
        {heads.map((own) => <QueueRow key={own[0].run_id} own={own} now={now} />)}
      </ol>
      {byRun.size > heads.length && <p class="quiet">and {byRun.size - heads.length} more runs: <code>mlopx queue</code></p>}
    </>
  );
}

function QueueRow({ own, now }: { own: QueueEntry[]; now: number }): JSX.Element {
  const first = own[0];
  return (
    <li>
      <span class="position" aria-label={`position ${first.position}`}>{first.position}</span>
      <div class="grow">
        <a class="strong" href={link(["runs", first.run_id, "tasks", first.task])}>{first.task}</a> <span class="quiet">of <a href={link(["runs", first.run_id])}>{first.run_id}</a></span>
        <div class="reason">{first.waiting?.text ?? (first.hold || "waits for earlier tasks of its run")}</div>
        <div class="quiet">waiting for {span(first.waiting_seconds)}{first.starts ? ` · starts ${expected(first.starts, now)}` : ""}{first.priority ? ` · priority ${first.priority}` : ""}{own.length > 1 ? ` · and ${own.length - 1} more of this run` : ""}</div>
      </div>
    </li>
  );
}

function Recent({ runs, now, pipelines }: { runs: Run[]; now: number; pipelines: string[] }): JSX.Element {
  if (!runs.length) {
    return (
      <Empty>
        <p class="strong">No runs yet.</p>
        <p>Submit one, and watch it here:</p>
        <Copy text={pipelines.length ? `mlopx submit pipelines/${pipelines[0]}.py` : "mlopx submit FILE.py"} />
      </Empty>
    );
  }
  const live = runs.filter((run) => !isOver(run.state)).slice(0, 12);
  const shown = [...live, ...runs.filter((run) => isOver(run.state)).slice(0, 6)];
  return <ul class="rows recent">{shown.map((run) => <RecentRow key={run.id} run={run} now={now} />)}</ul>;
}

function RecentRow({ run, now }: { run: Run; now: number }): JSX.Element {
  const why = useQuery<Explained>(isOver(run.state) ? null : `${runPath(run.id)}/explain`, (event) => event.run_id === run.id);
  const found = why.data;
  const done = found ? Object.entries(found.counts).reduce((sum, [state, count]) => sum + (isOver(state) ? count : 0), 0) : 0;
  return (
    <li>
      <State name={run.state} />
      <div class="grow"><a class="strong" href={link(["runs", run.id])}>{run.id}</a>
        {found && <Meter value={done / Math.max(found.tasks.length, 1)} label={`${run.id}: tasks done`} tone="s-running" />}
        {run.error && <div class="reason bad">{run.error}</div>}
      </div>
      <div class="right quiet">{isOver(run.state) ? <>{span(run.turnaround_seconds)}<br />{ago(run.finished_at, now)}</> : <>{found?.ends ? <strong title={found.assumes && `if ${found.assumes}`}>done {expected(found.ends, now)}</strong> : <span title={found?.why_no_eta}>end not known yet</span>}<br />{ago(run.submitted_at, now)}</>}</div>
    </li>
  );
}
