import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { call, type Attempt, type Detail, type Explained, headers, Problem, type RunEvent, runPath, type Task } from "../api";
import { useNow, useQuery } from "../live";
import { Broken, Card, Copy, Empty, Fact, Shown, State } from "../parts/basics";
import { type Bar, Gantt, type Lane } from "../parts/gantt";
import { Graph } from "../parts/graph";
import { link, replaceQuery, type Route } from "../route";
import { ago, clock, expected, isOver, ms, shown, size, span } from "../words";

const TABS: [string, string][] = [["graph", "Graph"], ["gantt", "Timeline"], ["tasks", "Tasks"], ["logs", "Logs"], ["data", "Data"], ["events", "Events"]];

export function RunPage({ route }: { route: Route }): JSX.Element {
  const [, id, given] = route.parts;
  const tab = given ?? "graph";
  const mine = (event: RunEvent): boolean => event.run_id === id;
  const run = useQuery<Detail>(runPath(id), mine);
  const why = useQuery<Explained>(`${runPath(id)}/explain`, mine, 5);
  const selected = route.query.get("task");
  return <Shown query={run}>{(found) => (
    <>
      <Head run={found} why={why.data} refresh={run.refresh} />
      <nav class="tabs" aria-label="Parts of the run">
        {TABS.map(([name, label]) => <a key={name} href={link(["runs", id, name], { task: selected })} aria-current={tab === name ? "page" : undefined}>{label}</a>)}
      </nav>
      <div class={selected && (tab === "graph" || tab === "gantt" || tab === "tasks") ? "beside" : ""}>
        <Tab tab={tab} run={found} why={why.data} route={route} selected={selected} />
        {selected && (tab === "graph" || tab === "gantt" || tab === "tasks") && <Chosen run={found} why={why.data} taskKey={selected} route={route} />}
      </div>
    </>
  )}</Shown>;
}

function Tab({ tab, run, why, route, selected }: { tab: string; run: Detail; why?: Explained; route: Route; selected: string | null }): JSX.Element {
  const choose = (key: string): void => replaceQuery(route, { task: key === selected ? null : key });
  if (tab === "gantt") return <Card label="Timeline" wide><Timeline run={run} why={why} route={route} /></Card>;
  if (tab === "tasks") return <Card label="Tasks" wide><Tasks run={run} why={why} choose={choose} selected={selected} /></Card>;
  if (tab === "logs") return <Card label="Logs" wide><Logs run={run} route={route} /></Card>;
  if (tab === "data") return <Data run={run} />;
  if (tab === "events") return <Card label="Events" wide><Events id={run.id} /></Card>;
  return <Card label="Graph" wide><Graph run={run} selected={selected} onSelect={choose} /></Card>;
}

function Head({ run, why, refresh }: { run: Detail; why?: Explained; refresh: () => void }): JSX.Element {
  const now = useNow(1000);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [asking, ask] = useState(false);
  const done = run.tasks.filter((task) => isOver(task.state)).length;
  const act = async (what: string): Promise<void> => {
    try {
      const answer = await call<{ run?: { id: string } }>(`${runPath(run.id)}/${what}`, {});
      setProblem(null);
      ask(false);
      if (answer.run) location.hash = link(["runs", answer.run.id]);
      else refresh();
    } catch (error) {
      setProblem(error as Problem);
    }
  };
  const over = isOver(run.state);
  return (
    <header class="page-head">
      <div class="title"><h1>{run.id}</h1><State name={run.state} />
        <span class="grow" />
        {!over && !asking && <button type="button" onClick={() => ask(true)}>Cancel run</button>}
        {!over && asking && <span class="ask" role="group" aria-label="Cancel this run?">Stop it?
          <button type="button" class="danger" onClick={() => void act("cancel")}>Yes, cancel</button><button type="button" onClick={() => ask(false)}>Keep it</button></span>}
        {over && <button type="button" onClick={() => void act("retry")} title="Runs again what did not succeed; what was finished is reused">Retry</button>}
        <a class="button" href={link(["plan"], { run: run.id })}>What if</a>
      </div>
      {problem && <Broken problem={problem} />}
      <p class="sentence" aria-live="polite">{why?.sentence ?? ""}</p>
      {why?.why_no_eta && <p class="quiet">{why.why_no_eta}.</p>}
      {run.problems.map((text) => <p key={text} class="reason bad">{text}</p>)}
      <dl class="facts">
        <Fact name="submitted">{clock(run.submitted_at)} <span class="quiet">({ago(run.submitted_at, now)})</span></Fact>
        <Fact name="tasks done">{done} of {run.tasks.length}</Fact>
        <Fact name="waited">{span(run.waiting_seconds ?? (over ? null : (now - Date.parse(run.submitted_at)) / 1000))}</Fact>
        <Fact name={over ? "turnaround" : "so far"}>{span(run.turnaround_seconds ?? (now - Date.parse(run.submitted_at)) / 1000)}</Fact>
        {!over && <Fact name="done">{why?.ends ? <strong>{expected(why.ends, now)}</strong> : "not known yet"}</Fact>}
        {run.priority !== 0 && <Fact name="priority">{run.priority}</Fact>}
        <Fact name="project">{run.project}</Fact>
        {run.retry_of && <Fact name="retry of"><a href={link(["runs", run.retry_of])}>{run.retry_of}</a></Fact>}
      </dl>
    </header>
  );
}

function barOf(run: Detail, task: Task, attempt: Attempt, why: Explained | undefined, now: number, byNode: boolean): Bar | null {
  const start = ms(attempt.started_at);
  const planned: [number, number] | null = attempt.planned_start_at && attempt.planned_finish_at
    ? [Date.parse(attempt.planned_start_at), Date.parse(attempt.planned_finish_at)] : null;
  const line = why?.tasks.find((one) => one.task === task.key);
  const node = attempt.actual_node ?? attempt.node ?? "";
  const href = link(["runs", run.id, "tasks", task.key]);
  if (start === null) return null;
  const end = ms(attempt.finished_at);
  const ends = end === null && line?.ends ? ([line.ends.p10, line.ends.p50, line.ends.p90].map(Date.parse) as [number, number, number]) : null;
  const said = `${task.key} on ${node}: ${attempt.state}, ${span(((end ?? now) - start) / 1000)}`
    + (planned ? `; planned ${span((planned[1] - planned[0]) / 1000)}` : "") + (ends ? `; done ${expected(line?.ends, now)}` : "");
  return {
    id: `${task.key}:${attempt.number}`, start, end, label: byNode ? task.key : node, title: said, href, tone: `t-${attempt.state}`,
    planned, likely: ends, queued: ms(attempt.placed_at ?? attempt.ready_at),
  };
}

function Timeline({ run, why, route }: { run: Detail; why?: Explained; route: Route }): JSX.Element {
  const now = useNow(isOver(run.state) ? 60_000 : 500);
  const by = route.query.get("by") ?? "task";
  const queue = useMemo(() => new Map((why?.tasks ?? []).map((one) => [one.task, one])), [why]);
  const rows: { task: Task; bars: Bar[]; node: string }[] = run.tasks.map((task) => {
    const bars = task.attempts.map((attempt) => barOf(run, task, attempt, why, now, by === "node")).filter((bar): bar is Bar => bar !== null);
    const coming = queue.get(task.key);
    if (coming?.starts && coming.ends) {
      const start = Math.max(Date.parse(coming.starts.p50), now);
      bars.push({ id: `${task.key}:next`, start, end: Math.max(Date.parse(coming.ends.p50), start + 50), label: task.key, title: `${task.key}: planned, starts ${expected(coming.starts, now)}, done ${expected(coming.ends, now)}`, tone: "t-pending", isPlan: true, href: link(["runs", run.id, "tasks", task.key]) });
    }
    return { task, bars, node: task.node ?? coming?.planned_node ?? "" };
  });
  const all = rows.flatMap((row) => row.bars);
  if (!all.length) return <Empty>Nothing has started yet, and no start is predicted.</Empty>;
  const from = Math.min(Date.parse(run.submitted_at), ...all.map((bar) => bar.queued ?? bar.start));
  const end = isOver(run.state) ? 0 : now;
  const to = Math.max(end, ...all.map((bar) => Math.max(bar.end ?? 0, bar.likely?.[2] ?? 0))) + 200;
  const lanes: Lane[] = by === "node"
    ? [...new Set(all.map((bar) => nodeOf(rows, bar)))].sort().map((node) => ({ id: node, label: node || "not placed", bars: all.filter((bar) => nodeOf(rows, bar) === node) }))
    : rows.filter((row) => row.bars.length).sort((a, b) => a.bars[0].start - b.bars[0].start).map((row) => ({ id: row.task.key, label: row.task.key, bars: row.bars, href: link(["runs", run.id, "tasks", row.task.key]) }));
  return (
    <>
      <div class="tools"><div class="choices" role="group" aria-label="Rows">
        {["task", "node"].map((one) => <button key={one} type="button" class="small" aria-pressed={by === one} onClick={() => replaceQuery(route, { by: one })}>by {one}</button>)}
      </div><p class="legend"><span class="key dashed" /> as planned <span class="key solid" /> as it went <span class="key thin" /> placed, not yet started, or when it may end</p></div>
      <Gantt lanes={lanes} from={from} to={to} now={isOver(run.state) ? null : now} origin={from} label={`Timeline of ${run.id} by ${by}`} dense={lanes.length > 60} />
    </>
  );
}

const nodeOf = (rows: { task: Task; bars: Bar[]; node: string }[], bar: Bar): string => {
  const row = rows.find((one) => one.bars.includes(bar));
  const attempt = row?.task.attempts.find((one) => bar.id === `${row.task.key}:${one.number}`);
  return attempt?.actual_node ?? attempt?.node ?? row?.node ?? "";
};

function Tasks({ run, why, choose, selected }: { run: Detail; why?: Explained; choose: (key: string) => void; selected: string | null }): JSX.Element {
  const lines = new Map((why?.tasks ?? []).map((line) => [line.task, line]));
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Tasks"><table>
      <thead><tr><th scope="col">task</th><th scope="col">state</th><th scope="col">node</th><th scope="col" class="num">run time</th><th scope="col">why</th></tr></thead>
      <tbody>{run.tasks.map((task) => (
        <tr key={task.key} class={task.key === selected ? "chosen" : ""}>
          <th scope="row"><button type="button" class="plain" onClick={() => choose(task.key)}>{task.key}</button></th>
          <td><State name={task.state} /></td><td>{task.node ?? "–"}</td><td class="num">{span(task.attempts[task.attempts.length - 1].run_seconds)}</td>
          <td class="why">{lines.get(task.key)?.sentence}</td>
        </tr>))}
      </tbody></table></div>
  );
}

function Chosen({ run, why, taskKey, route }: { run: Detail; why?: Explained; taskKey: string; route: Route }): JSX.Element | null {
  const now = useNow(1000);
  const task = run.tasks.find((one) => one.key === taskKey);
  if (!task) return null;
  const line = why?.tasks.find((one) => one.task === taskKey);
  const attempt = task.attempts[task.attempts.length - 1];
  const others = run.tasks.filter((one) => one.path === task.path);
  return (
    <aside class="card side" aria-label={`Task ${taskKey}`}>
      <header class="card-head"><h2>{taskKey}</h2><button type="button" class="small" aria-label="Close" onClick={() => replaceQuery(route, { task: null })}>✕</button></header>
      <State name={task.state} />
      <p class="sentence" aria-live="polite">{line?.sentence}</p>
      <dl class="facts">
        <Fact name="node">{task.node ?? "–"}</Fact>
        <Fact name="since">{attempt.started_at ? clock(attempt.started_at) : "–"}</Fact>
        <Fact name="run time">{span(attempt.run_seconds ?? (attempt.started_at ? (now - Date.parse(attempt.started_at)) / 1000 : null))}</Fact>
        {!isOver(task.state) && <Fact name="done">{expected(line?.ends, now)}</Fact>}
      </dl>
      {attempt.error && <><p class="reason bad">{attempt.error.message}</p>{attempt.error.hint && <p class="quiet">{attempt.error.hint}</p>}{attempt.error.traceback && <pre class="log">{attempt.error.traceback}</pre>}</>}
      <Outputs task={task} run={run} />
      <p class="links"><a class="button" href={link(["runs", run.id, "tasks", taskKey])}>Why there</a><a class="button" href={link(["runs", run.id, "logs"], { task: taskKey })}>Logs</a></p>
      {others.length > 1 && <label class="field"><span>Iteration</span><select value={taskKey} onChange={(event) => replaceQuery(route, { task: event.currentTarget.value })}>{others.map((one) => <option key={one.key} value={one.key}>{one.key} ({one.state})</option>)}</select></label>}
    </aside>
  );
}

function Outputs({ task, run }: { task: Task; run: Detail }): JSX.Element | null {
  const found = Object.entries(task.outputs);
  if (!found.length) return null;
  return <dl class="outputs">{found.map(([port, output]) => <div key={port}><dt>{port}</dt><dd>{output.artifact
    ? <Download run={run.id} task={task.key} port={port} text={`${output.artifact.type}, ${size(output.artifact.size_bytes)}`} />
    : <code>{shown(output.value)}</code>}</dd></div>)}</dl>;
}

/** Fetched, not linked: a link could not carry the token. */
function Download({ run, task, port, text }: { run: string; task: string; port: string; text: string }): JSX.Element {
  const [problem, set] = useState("");
  const save = async (): Promise<void> => {
    const answer = await fetch(`${runPath(run)}/artifacts/content?task=${encodeURIComponent(task)}&port=${encodeURIComponent(port)}`, { headers: headers() });
    if (!answer.ok) { set((await answer.json().catch(() => ({}))).detail ?? "cannot be fetched"); return; }
    const from = URL.createObjectURL(await answer.blob());
    Object.assign(document.createElement("a"), { href: from, download: `${task.replaceAll("/", "-")}-${port}` }).click();
    URL.revokeObjectURL(from);
  };
  return <><button type="button" class="plain" onClick={() => void save()}>{text} ↓</button>{problem && <span class="reason bad"> {problem}</span>}</>;
}

function Logs({ run, route }: { run: Detail; route: Route }): JSX.Element {
  const started = run.tasks.filter((task) => task.attempts.some((attempt) => attempt.started_at));
  const running = started.find((task) => task.state === "running") ?? started.find((task) => task.state === "failed") ?? started[started.length - 1];
  const key = route.query.get("task") ?? running?.key ?? null;
  const [follow, setFollow] = useState(true);
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    let [offset, stopped, timer] = [0, false, 0];
    setText("");
    setProblem(null);
    const read = async (): Promise<void> => {
      if (!key) return;
      try {
        const chunk = await call<{ text: string; next_offset: number; is_end: boolean }>(`${runPath(run.id)}/logs?task=${encodeURIComponent(key)}&offset=${offset}`);
        if (stopped) return;
        const more = chunk.next_offset > offset;
        offset = chunk.next_offset;
        if (chunk.text) setText((old) => (old + chunk.text).slice(-500_000));
        setProblem(null);
        if (!chunk.is_end) timer = window.setTimeout(() => void read(), more ? 50 : 800);
      } catch (error) {
        if (stopped) return;
        setProblem(error as Problem);
        timer = window.setTimeout(() => void read(), 2000);
      }
    };
    void read();
    return () => { stopped = true; clearTimeout(timer); };
  }, [run.id, key]);
  useEffect(() => { if (follow && box.current) box.current.scrollTop = box.current.scrollHeight; }, [text, follow]);
  if (!key) return <Empty>No task has started yet; logs appear as soon as one does.</Empty>;
  return (
    <>
      <div class="tools">
        <label class="field"><span>Task</span><select value={key} onChange={(event) => replaceQuery(route, { task: event.currentTarget.value })}>{run.tasks.map((task) => <option key={task.key} value={task.key}>{task.key} ({task.state})</option>)}</select></label>
        <label class="check"><input type="checkbox" checked={follow} onChange={(event) => setFollow(event.currentTarget.checked)} /> follow</label>
        <Copy text={`mlopx logs ${run.id} ${key} -f`} />
      </div>
      {problem && problem.status !== 404 && <Broken problem={problem} />}
      <pre class="log tall" ref={box} role="log" tabIndex={0} aria-label={`Log of ${key}`}>{text || (problem ? "nothing printed yet" : "")}</pre>
    </>
  );
}

function Data({ run }: { run: Detail }): JSX.Element {
  const parameters = Object.entries(run.parameters);
  const values = run.tasks.flatMap((task) => Object.entries(task.outputs).filter(([, one]) => !one.artifact).map(([port, one]) => ({ task, port, value: one.value })));
  const artifacts = run.tasks.flatMap((task) => Object.entries(task.outputs).flatMap(([port, one]) => one.artifact ? [{ task, port, artifact: one.artifact }] : []));
  return (
    <div class="columns">
      <Card title="Parameters">{parameters.length ? <table><tbody>{parameters.map(([name, value]) => <tr key={name}><th scope="row">{name}</th><td><code>{shown(value)}</code></td></tr>)}</tbody></table> : <Empty>This pipeline takes no parameters.</Empty>}</Card>
      <Card title="Metrics and values">{values.length ? <table><tbody>{values.map(({ task, port, value }) => <tr key={task.key + port}><th scope="row">{task.key}{port !== "output" && <span class="quiet"> {port}</span>}</th><td><code>{shown(value).slice(0, 300)}</code></td></tr>)}</tbody></table> : <Empty>No values yet.</Empty>}</Card>
      <Card title="Artifacts" wide>{artifacts.length ? <div class="scroll" tabIndex={0} role="region" aria-label="Artifacts"><table>
        <thead><tr><th scope="col">task</th><th scope="col">port</th><th scope="col">content</th><th scope="col">figures</th><th scope="col">digest</th></tr></thead>
        <tbody>{artifacts.map(({ task, port, artifact }) => <tr key={task.key + port}><th scope="row">{task.key}</th><td>{port}</td>
          <td><Download run={run.id} task={task.key} port={port} text={`${artifact.type}, ${size(artifact.size_bytes)}`} /></td>
          <td>{Object.entries(artifact.metadata).map(([name, value]) => <div key={name}><span class="quiet">{name}</span> <code>{shown(value).slice(0, 80)}</code></div>)}</td><td class="quiet"><code>{artifact.digest?.slice(7, 19)}</code></td></tr>)}</tbody></table></div> : <Empty>No artifacts yet.</Empty>}</Card>
    </div>
  );
}

function Events({ id }: { id: string }): JSX.Element {
  const found = useQuery<{ events: RunEvent[] }>(`${runPath(id)}/events?limit=1000`, (event) => event.run_id === id);
  return <Shown query={found}>{({ events }) => events.length === 0 ? <Empty>Nothing has happened yet.</Empty> : (
    <div class="scroll" tabIndex={0} role="region" aria-label="Events"><table>
      <thead><tr><th scope="col">at</th><th scope="col">event</th><th scope="col">task</th><th scope="col">what</th></tr></thead>
      <tbody>{events.map((event) => <tr key={event.id}><td class="nowrap">{clock(event.at)}</td><td class="nowrap">{event.kind}</td><td>{event.task ?? ""}</td><td class="why">{Object.entries(event.data).filter(([name, value]) => value !== null && value !== "" && typeof value !== "object" && name !== "decision_id").map(([name, value]) => `${name} ${shown(value)}`).join(", ").slice(0, 220)}</td></tr>)}</tbody>
    </table></div>)}</Shown>;
}
