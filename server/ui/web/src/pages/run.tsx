import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { call, type Artifact, type Attempt, type Detail, type Explained, headers, Problem, type RunEvent, runPath, type Task, type TaskLine } from "../api";
import { useNow, useQuery } from "../live";
import { Broken, Card, Copy, Empty, Fact, Key, Limited, Remarks, Shown, State } from "../parts/basics";
import { type Bar, Gantt, type Lane } from "../parts/gantt";
import { Graph, startLayout } from "../parts/graph";
import { type Column, List } from "../parts/list";
import { link, replaceQuery, type Route } from "../route";
import { ago, clock, expected, isOver, many, ms, shown, size, span, told } from "../words";

const TABS: [string, string][] = [["graph", "Graph"], ["gantt", "Timeline"], ["tasks", "Tasks"], ["logs", "Logs"], ["data", "Data"], ["events", "Events"]];

export function RunPage({ route }: { route: Route }): JSX.Element {
  const [, id, given] = route.parts;
  const tab = TABS.find(([name]) => name === given)?.[0] ?? "graph";
  const mine = (event: RunEvent): boolean => event.run_id === id;
  const run = useQuery<Detail>(runPath(id), mine);
  const why = useQuery<Explained>(`${runPath(id)}/explain`, mine, 5);
  const selected = route.query.get("task");
  useEffect(() => void startLayout(), []);
  return <Shown query={run} name={id} away={<a href="#/runs">Go to the runs there are.</a>}>{(found) => (
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
  if (tab === "tasks") return <Card label="Tasks" wide><Tasks run={run} why={why} choose={choose} selected={selected} route={route} /></Card>;
  if (tab === "logs") return <Card label="Logs" wide><Logs run={run} route={route} /></Card>;
  if (tab === "data") return <Data run={run} />;
  if (tab === "events") return <Card label="Events" wide><Events id={run.id} /></Card>;
  return <Card label="Graph" wide><Graph run={run} selected={selected} onSelect={choose} /></Card>;
}

function Head({ run, why, refresh }: { run: Detail; why?: Explained; refresh: () => void }): JSX.Element {
  const now = useNow(1000);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [asking, ask] = useState(false);
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
      <p class="sentence" aria-live="polite">{told(why?.sentence)}</p>
      {why?.preparing && !isOver(run.state) && <p class="note-line" role="status">{why.preparing}.</p>}
      {why?.why_no_eta && <p class="quiet">{why.why_no_eta}.</p>}
      <Remarks texts={why?.warnings ?? []} />
      {(why?.actions.length ?? 0) > 0 && <div class="actions"><strong>What you can do</strong><ul>{why!.actions.map((one) => <li key={one.text}>{one.text} {one.command && <Copy text={one.command} />}</li>)}</ul></div>}
      {run.offer && !over && !run.replaced_by && <Offered offer={run.offer} accept={() => void act("replace")} />}
      {run.problems.map((text) => <p key={text} class="reason bad">{text}</p>)}
      <dl class="facts">
        <Fact name="submitted">{clock(run.submitted_at)} <span class="quiet">({ago(run.submitted_at, now)})</span></Fact>
        <Fact name={many(run.tasks.length, "task")}>{counted(run.tasks)}</Fact>
        <Fact name="waited">{span(run.waiting_seconds ?? (over ? null : (now - Date.parse(run.submitted_at)) / 1000))}</Fact>
        <Fact name={over ? "turnaround" : "so far"}>{span(run.turnaround_seconds ?? (now - Date.parse(run.submitted_at)) / 1000)}</Fact>
        {!over && <Fact name="done">{why?.ends ? <><strong>{expected(why.ends, now)}</strong>{why.assumes && <span class="quiet"> if {why.assumes}</span>}</> : "not known yet"}</Fact>}
        {run.priority !== 0 && <Fact name="priority">{run.priority}</Fact>}
        <Fact name="project">{run.project}</Fact>
        {run.replaced_by && <Fact name="replaced by"><a href={link(["runs", run.replaced_by])}>{run.replaced_by}</a></Fact>}
        {run.retry_of && <Fact name="retry of"><a href={link(["runs", run.retry_of])}>{run.retry_of}</a></Fact>}
      </dl>
    </header>
  );
}

/** Tasks wait in vain at the platform, and other nodes could start them: what accepting would do, and what it would repeat. */
function Offered({ offer, accept }: { offer: NonNullable<Detail["offer"]>; accept: () => void }): JSX.Element {
  const where = Object.entries(offer.nodes).map(([task, node]) => `${task} on ${node}`).join(", ");
  return (
    <div class="actions" role="group" aria-label="Offer of a new placement">
      <strong>A new placement is offered</strong>
      <p>{offer.reason}{/[.!]$/.test(offer.reason) ? "" : "."} A new run could start {where} now; this one is stopped first.</p>
      {offer.doubts.length > 0 && <ul>{offer.doubts.map((text) => <li key={text}>{text}</li>)}</ul>}
      <button type="button" class="primary" onClick={accept}>Place it anew</button>
    </div>
  );
}

const LIVE_FIRST = ["running", "queued", "placed", "ready", "pending"];

function counted(tasks: Task[]): string {
  const count = (state: string): number => tasks.filter((task) => task.state === state).length;
  const states = [...new Set([...LIVE_FIRST, ...tasks.map((task) => task.state)])].filter((state) => count(state) > 0);
  return states.map((state) => `${count(state)} ${state}`).join(", ") || "none yet";
}

interface Stage { kind: string; from: number; to: number; text: string }
const STAGES: Record<string, string> = { queue: "queued", pull: "image pulled in", fetch: "inputs fetched in" };

/** What came before a task's program ran: queued at the platform, then its image pulled, then its inputs fetched, where told. */
function stagesOf(attempt: Attempt): Stage[] {
  const [placed, scheduled, started, fetched] = [ms(attempt.placed_at ?? attempt.ready_at), ms(attempt.scheduled_at), ms(attempt.started_at), ms(attempt.inputs_at)];
  if (started === null) return [];
  const stage = (kind: string, from: number, to: number): Stage => ({ kind, from, to, text: `${STAGES[kind]} ${span((to - from) / 1000)}` });
  const isTold = placed !== null && scheduled !== null && scheduled >= placed;
  const before = placed === null ? [] : isTold ? [stage("queue", placed, scheduled), stage("pull", scheduled, started)] : [stage("queue", placed, started)];
  return [...before, ...(fetched === null ? [] : [stage("fetch", started, fetched)])].filter((one) => one.to > one.from);
}

/** What the chart does not tell apart, and why. */
function untold(run: Detail): string {
  if (run.tasks.some((task) => task.attempts.some((attempt) => attempt.inputs_at))) return "";
  if (run.binding === "when_ready") return "Inputs are read where they lie: nothing is transferred before a task runs.";
  return "Fetching inputs is part of the run time: these pods do not tell when it was done.";
}

function barOf(run: Detail, task: Task, attempt: Attempt, line: TaskLine | undefined, now: number, byNode: boolean): Bar | null {
  const start = ms(attempt.started_at);
  const planned: [number, number] | null = attempt.planned_start_at && attempt.planned_finish_at
    ? [Date.parse(attempt.planned_start_at), Date.parse(attempt.planned_finish_at)] : null;
  const node = attempt.actual_node ?? attempt.node ?? "";
  const href = link(["runs", run.id, "tasks", task.key]);
  if (start === null) return null;
  const end = ms(attempt.finished_at);
  const ends = end === null && line?.ends ? ([line.ends.p10, line.ends.p50, line.ends.p90].map(Date.parse) as [number, number, number]) : null;
  const before = stagesOf(attempt);
  const said = `${task.key} on ${node}: ${attempt.state}, ${before.map((one) => `${one.text}, `).join("")}${end === null ? "running for" : "ran"} ${span(((end ?? now) - start) / 1000)}`
    + (planned ? `; planned ${span((planned[1] - planned[0]) / 1000)}` : "") + (ends ? `; done ${expected(line?.ends, now)}` : "");
  return {
    id: `${task.key}:${attempt.number}`, start: ms(attempt.inputs_at) ?? start, end, label: byNode ? task.key : node, title: said, href, tone: `t-${attempt.state}`,
    planned, likely: ends, before, lane: node,
  };
}

/** Until when the chart goes: what happened and may happen, and of plans that were far off not more than as much again. */
function endOf(bars: Bar[], from: number, now: number): number {
  const seen = Math.max(now, ...bars.map((bar) => Math.max(bar.end ?? 0, bar.likely?.[2] ?? 0)));
  const planned = Math.max(...bars.map((bar) => bar.planned?.[1] ?? 0));
  return Math.max(seen, Math.min(planned, from + 2 * (seen - from))) + (seen - from) * 0.02 + 100;
}

function Timeline({ run, why, route }: { run: Detail; why?: Explained; route: Route }): JSX.Element {
  const over = isOver(run.state);
  const now = useNow(over ? 60_000 : run.tasks.length > 100 ? 2000 : 500);
  const by = route.query.get("by") ?? "task";
  const queue = useMemo(() => new Map((why?.tasks ?? []).map((one) => [one.task, one])), [why]);
  const rows: { task: Task; bars: Bar[] }[] = run.tasks.map((task) => {
    const coming = queue.get(task.key);
    const bars = task.attempts.map((attempt) => barOf(run, task, attempt, coming, now, by === "node")).filter((bar): bar is Bar => bar !== null);
    if (coming?.starts && coming.ends) {
      const start = Math.max(Date.parse(coming.starts.p50), now);
      bars.push({ id: `${task.key}:next`, start, end: Math.max(Date.parse(coming.ends.p50), start + 50), label: by === "node" ? task.key : coming.planned_node ?? task.key, title: `${task.key}: planned${coming.planned_node ? ` on ${coming.planned_node}` : ""}, starts ${expected(coming.starts, now)}, done ${expected(coming.ends, now)}`, tone: "t-pending", isPlan: true, href: link(["runs", run.id, "tasks", task.key]), lane: coming.planned_node ?? "" });
    }
    return { task, bars };
  });
  const all = rows.flatMap((row) => row.bars);
  if (!all.length) return <Empty>Nothing has started yet, and no start is predicted{why?.why_no_eta ? `: ${why.why_no_eta.replace(/^no end is predicted yet: /, "")}` : ""}.</Empty>;
  const from = Math.min(Date.parse(run.submitted_at), ...all.map((bar) => bar.start));
  const byLane = new Map<string, Bar[]>();
  for (const bar of all) byLane.set(bar.lane ?? "", [...(byLane.get(bar.lane ?? "") ?? []), bar]);
  const lanes: Lane[] = by === "node"
    ? [...byLane].sort(([a], [b]) => a.localeCompare(b)).map(([node, bars]) => ({ id: node, label: node || "not placed", bars }))
    : rows.filter((row) => row.bars.length).sort((a, b) => a.bars[0].start - b.bars[0].start).map((row) => ({ id: row.task.key, label: row.task.key, bars: row.bars, href: link(["runs", run.id, "tasks", row.task.key]) }));
  const has = (test: (bar: Bar) => unknown): boolean => all.some(test);
  return (
    <>
      <div class="tools"><div class="choices" role="group" aria-label="Rows">
        {["task", "node"].map((one) => <button key={one} type="button" class="small" aria-pressed={by === one} onClick={() => replaceQuery(route, { by: one })}>by {one}</button>)}
      </div><p class="legend">
        {has((bar) => bar.planned) && <Key look="dashed">as planned</Key>}<Key look="solid">as it went</Key>
        {has((bar) => bar.before?.some((one) => one.kind === "queue")) && <Key look="b-queue">queued</Key>}
        {has((bar) => bar.before?.some((one) => one.kind === "pull")) && <Key look="b-pull">image pulled</Key>}
        {has((bar) => bar.before?.some((one) => one.kind === "fetch")) && <Key look="b-fetch">inputs fetched</Key>}
        {has((bar) => bar.likely) && <Key look="thin">when it may end</Key>}
      </p></div>
      {has((bar) => !bar.isPlan) && untold(run) && <p class="quiet">{untold(run)}</p>}
      <Gantt lanes={lanes} from={from} to={endOf(all, from, over ? 0 : now)} now={over ? null : now} origin={from} label={`Timeline of ${run.id} by ${by}`} dense={lanes.length > 60} />
    </>
  );
}

function Tasks({ run, why, choose, selected, route }: { run: Detail; why?: Explained; choose: (key: string) => void; selected: string | null; route: Route }): JSX.Element {
  const now = useNow(isOver(run.state) ? 60_000 : 1000);
  const lines = useMemo(() => new Map((why?.tasks ?? []).map((line) => [line.task, line])), [why]);
  const [text, state] = [route.query.get("text") ?? "", route.query.get("state") ?? ""];
  const found = run.tasks.filter((task) => (!state || task.state === state) && (!text || `${task.key} ${task.node ?? ""}`.toLowerCase().includes(text.toLowerCase())));
  const states = [...new Set(run.tasks.map((task) => task.state))];
  const last = (task: Task): Attempt | undefined => task.attempts[task.attempts.length - 1];
  const columns: Column<Task>[] = [
    { name: "task", width: "minmax(90px, 2fr)", title: (task) => task.key, cell: (task) => <button type="button" class="plain strong" onClick={() => choose(task.key)}>{task.key}</button> },
    { name: "state", width: "116px", cell: (task) => <State name={task.state} /> },
    { name: "node", width: "minmax(56px, 1fr)", title: (task) => task.node ?? "", cell: (task) => task.node ?? "–" },
    { name: "run time", width: "86px", isNumber: true, isExtra: true, cell: (task) => span(last(task)?.run_seconds ?? (task.state === "running" && last(task)?.started_at ? (now - Date.parse(last(task)!.started_at!)) / 1000 : null)) },
    { name: "why", width: "minmax(220px, 4fr)", isExtra: true, title: (task) => lines.get(task.key)?.sentence ?? "", cell: (task) => <span class="clamped">{shortly(task, lines.get(task.key), now)}</span> },
  ];
  return (
    <>
      <div class="tools">
        <label class="field"><span>Find</span><input type="search" value={text} placeholder="task or node" onInput={(event) => replaceQuery(route, { text: event.currentTarget.value })} /></label>
        <label class="field"><span>State</span><select value={state} onChange={(event) => replaceQuery(route, { state: event.currentTarget.value })}><option value="">all</option>{states.map((one) => <option key={one} value={one}>{one}</option>)}</select></label>
        <span class="quiet" role="status">{found.length} of {run.tasks.length} tasks</span>
      </div>
      {found.length ? <List label="Tasks" rows={found} columns={columns} id={(task) => task.key} tall={48} isChosen={(task) => task.key === selected} /> : <Empty>No task matches.</Empty>}
    </>
  );
}

/** What the other columns do not say: until when, and why there; of what does not run, the sentence. */
function shortly(task: Task, line: TaskLine | undefined, now: number): string {
  if (task.state !== "running" || !line) return told(line?.sentence);
  return [line.ends && `done ${expected(line.ends, now)}`, line.why].filter(Boolean).join(", ") || told(line.sentence);
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
      <p class="sentence" aria-live="polite">{told(line?.sentence)}</p>
      <dl class="facts">
        <Fact name="node">{task.node ?? "–"}</Fact>
        <Fact name="since">{attempt.started_at ? clock(attempt.started_at) : "–"}</Fact>
        <Fact name="run time">{span(attempt.run_seconds ?? (attempt.started_at ? (now - Date.parse(attempt.started_at)) / 1000 : null))}</Fact>
        {!isOver(task.state) && <Fact name="done">{expected(line?.ends, now)}</Fact>}
      </dl>
      {attempt.error && <>{!line?.sentence.includes(attempt.error.message) && <p class="reason bad">{attempt.error.message}</p>}{attempt.error.hint && <p class="quiet">{attempt.error.hint}</p>}{attempt.error.traceback && <pre class="log">{attempt.error.traceback}</pre>}</>}
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
      <pre class="log tall" ref={box} role="log" tabIndex={0} aria-label={`Log of ${key}`}>{text || "nothing printed yet"}</pre>
    </>
  );
}

type Figure = { task: Task; name: string; value: unknown };

/** Values and figures of all tasks, by component of the graph: one row per task or iteration, one column per figure. */
function figuresOf(run: Detail): [string, string[], Map<string, Map<string, unknown>>][] {
  const all: Figure[] = run.tasks.flatMap((task) => Object.entries(task.outputs).flatMap(([port, output]): Figure[] => output.artifact
    ? Object.entries(output.artifact.metadata).filter(([, value]) => typeof value === "number").map(([name, value]) => ({ task, name, value }))
    : [{ task, name: port, value: output.value }]));
  const groups = new Map<string, Figure[]>();
  for (const one of all) groups.set(one.task.path, [...(groups.get(one.task.path) ?? []), one]);
  return [...groups].map(([path, own]) => {
    const rows = new Map<string, Map<string, unknown>>();
    for (const one of own) rows.set(one.task.key, (rows.get(one.task.key) ?? new Map<string, unknown>()).set(one.name, one.value));
    return [path, [...new Set(own.map((one) => one.name))], rows];
  });
}

function Data({ run }: { run: Detail }): JSX.Element {
  const parameters = Object.entries(run.parameters);
  const figures = useMemo(() => figuresOf(run), [run]);
  const artifacts = run.tasks.flatMap((task) => Object.entries(task.outputs).flatMap(([port, one]) => one.artifact ? [{ task, port, artifact: one.artifact }] : []));
  return (
    <>
      <Card title="Parameters" wide>{parameters.length ? <dl class="facts">{parameters.map(([name, value]) => <Fact key={name} name={name}><code>{shown(value)}</code></Fact>)}</dl> : <Empty>This pipeline takes no parameters.</Empty>}</Card>
      <Card title="Metrics and values" wide>{figures.length ? figures.map(([path, names, rows]) => <Figures key={path} path={path} names={names} rows={rows} />) : <Empty>No values yet.</Empty>}</Card>
      <Card title="Artifacts" wide>{artifacts.length ? <Limited items={artifacts} most={100}>{(items) => <Artifacts run={run} items={items} />}</Limited> : <Empty>No artifacts yet.</Empty>}</Card>
    </>
  );
}

function Figures({ path, names, rows }: { path: string; names: string[]; rows: Map<string, Map<string, unknown>> }): JSX.Element {
  return (
    <Limited items={[...rows]} most={50}>{(items) => (
      <div class="scroll figures" tabIndex={0} role="region" aria-label={`Values of ${path}`}><table>
        <thead><tr><th scope="col">{path}</th>{names.map((name) => <th scope="col" key={name} class={isFigure(rows, name) ? "num" : ""}>{name === "output" ? "value" : name}</th>)}</tr></thead>
        <tbody>{items.map(([key, values]) => <tr key={key}><th scope="row">{key === path ? "" : key.slice(path.length + 1) || key}<span class="hidden">{key}</span></th>{names.map((name) => <td key={name} class={isFigure(rows, name) ? "num" : ""}><code>{values.has(name) ? shown(values.get(name)).slice(0, 300) : "–"}</code></td>)}</tr>)}</tbody>
      </table></div>)}</Limited>
  );
}

const isFigure = (rows: Map<string, Map<string, unknown>>, name: string): boolean => [...rows.values()].every((values) => !values.has(name) || typeof values.get(name) === "number");

function Artifacts({ run, items }: { run: Detail; items: { task: Task; port: string; artifact: Artifact }[] }): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Artifacts"><table>
      <thead><tr><th scope="col">task</th><th scope="col">port</th><th scope="col">content</th><th scope="col">notes</th><th scope="col">digest</th></tr></thead>
      <tbody>{items.map(({ task, port, artifact }) => <tr key={task.key + port}><th scope="row">{task.key}</th><td>{port}</td>
        <td class="nowrap"><Download run={run.id} task={task.key} port={port} text={`${artifact.type}, ${size(artifact.size_bytes)}`} /></td>
        <td>{Object.entries(artifact.metadata).map(([name, value]) => <span key={name} class="note"><span class="quiet">{name}</span> <code>{shown(value).slice(0, 80)}</code> </span>)}</td><td class="quiet nowrap"><code>{artifact.digest?.slice(7, 19)}</code></td></tr>)}</tbody></table></div>
  );
}

function Events({ id }: { id: string }): JSX.Element {
  const found = useQuery<{ events: RunEvent[] }>(`${runPath(id)}/events?limit=1000`, (event) => event.run_id === id);
  const told = (event: RunEvent): string => event.kind === "run-state-changed" && !event.data.error ? `${event.data.before} → ${event.data.after}`
    : Object.entries(event.data).filter(([name, value]) => value !== null && value !== "" && value !== false && typeof value !== "object" && name !== "decision_id")
      .map(([name, value]) => name.endsWith("_at") ? `${name.slice(0, -3).replaceAll("_", " ")} at ${clock(String(value))}` : name.endsWith("_bytes") ? `${name.slice(0, -6).replaceAll("_", " ")} ${size(Number(value))}` : value === true ? name.replaceAll("_", " ") : `${name.replaceAll("_", " ")} ${shown(value)}`).join(", ");
  const columns: Column<RunEvent>[] = [
    { name: "at", width: "64px", title: (event) => event.at, cell: (event) => clock(event.at) },
    { name: "event", width: "minmax(96px, 150px)", title: (event) => told(event) || event.kind, cell: (event) => event.kind.replaceAll("-", " ") },
    { name: "task", width: "minmax(90px, 1fr)", title: (event) => event.task ?? "", cell: (event) => <>{event.task ?? ""}{event.attempt && event.attempt > 1 ? <span class="quiet"> attempt {event.attempt}</span> : null}</> },
    { name: "what", width: "minmax(240px, 3fr)", isExtra: true, title: told, cell: (event) => <span class="clamped">{told(event).slice(0, 300)}</span> },
  ];
  return <Shown query={found}>{({ events }) => events.length === 0 ? <Empty>Nothing has happened yet.</Empty> : <>
    <List label="Events" rows={events} columns={columns} id={(event) => String(event.id)} tall={48} />
    {events.length === 1000 && <p class="quiet">the first 1,000 events; all of them: <code>mlopx events {id}</code></p>}
  </>}</Shown>;
}
