import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { call, type Detail, type Placer, type Plan, type Problem, type Run, runPath, type Task } from "../api";
import { useQuery } from "../live";
import { Broken, Card, Empty, Limited, Loading, Shown, State } from "../parts/basics";
import { link, replaceQuery, type Route } from "../route";
import { shown, size, span } from "../words";

type Row = [string, string, string];

export function Compare({ route }: { route: Route }): JSX.Element {
  const what = route.query.get("what") ?? "runs";
  return (
    <>
      <h1>Compare</h1>
      <nav class="tabs" aria-label="What to compare">{[["runs", "Two runs"], ["strategies", "Two strategies"]].map(([name, label]) => <a key={name} href={link(["compare"], { what: name })} aria-current={what === name ? "page" : undefined}>{label}</a>)}</nav>
      {what === "strategies" ? <TwoStrategies route={route} /> : <TwoRuns route={route} />}
    </>
  );
}

function TwoRuns({ route }: { route: Route }): JSX.Element {
  const [a, b] = ["a", "b"].map((name) => route.query.get(name));
  const runs = useQuery<{ runs: Run[] }>("/api/v1/runs?limit=200");
  const pick = (side: string, value: string | null): JSX.Element => (
    <label class="field"><span>{side === "a" ? "First run" : "Second run"}</span><select value={value ?? ""} onChange={(event) => replaceQuery(route, { [side]: event.currentTarget.value })}>
      <option value="">choose …</option>{value && !runs.data?.runs.some((run) => run.id === value) && <option>{value}</option>}{runs.data?.runs.map((run) => <option key={run.id} value={run.id}>{run.id} ({run.state})</option>)}
    </select></label>);
  return (
    <>
      <Card wide label="Which runs"><div class="tools">{pick("a", a)}{pick("b", b)}
        <label class="check"><input type="checkbox" checked={route.query.get("all") === "1"} onChange={(event) => replaceQuery(route, { all: event.currentTarget.checked ? "1" : null })} /> also what is the same</label></div></Card>
      {a && b ? <Both key={a + b} a={a} b={b} all={route.query.get("all") === "1"} /> : <Empty>Choose two runs to see how they differ.</Empty>}
    </>
  );
}

/** The live queue planned by two strategies, one after the other; nothing is submitted. */
function TwoStrategies({ route }: { route: Route }): JSX.Element {
  const placers = useQuery<{ placers: Placer[] }>("/api/v1/placers?all=true");
  const names = placers.data?.placers ?? [];
  const current = names.find((one) => one.is_current)?.name ?? "";
  const [a, b] = [route.query.get("a") ?? current, route.query.get("b") ?? ""];
  const [plans, set] = useState<{ of: string; found: Plan[] } | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isBusy, setBusy] = useState(false);
  const pair = `${a} ${b}`;
  const ask = async (): Promise<void> => {
    if (!a || !b) return;
    setBusy(true);
    try {
      const found = [await call<Plan>("/api/v1/plan", { strategy: a }), await call<Plan>("/api/v1/plan", { strategy: b })];
      set({ of: pair, found });
      setProblem(null);
    } catch (error) {
      setProblem(error as Problem);
    } finally {
      setBusy(false);
    }
  };
  useEffect(() => { void ask(); }, [pair]);
  const pick = (side: string, value: string): JSX.Element => <label class="field"><span>{side === "a" ? "First strategy" : "Second strategy"}</span><select value={value} onChange={(event) => replaceQuery(route, { [side]: event.currentTarget.value })}><option value="">choose …</option>{names.map((one) => <option key={one.name}>{one.name}</option>)}</select></label>;
  const [left, right] = plans?.of === pair ? plans.found : [];
  const rows: [string, (plan: Plan) => string][] = [
    ["everything done in", (plan) => `${span(plan.turnaround_seconds)} (${span(plan.turnaround_p10_seconds)} – ${span(plan.turnaround_p90_seconds)})`],
    ["runs end after, on average", (plan) => span(plan.runs.length ? plan.runs.reduce((sum, run) => sum + Date.parse(run.ends.p50) - Date.parse(plan.at), 0) / plan.runs.length / 1000 : null)],
    ["first task starts in", (plan) => span(plan.waiting_seconds)], ["bytes between nodes", (plan) => size(plan.bytes_moved)],
    ["cost", (plan) => plan.cost === null ? "not known: nodes without a rate" : plan.cost.toFixed(4)], ["tasks not placed", (plan) => String(plan.unplaced.length)],
  ];
  return (
    <>
      <p class="lead">Both plan the queue as it is now; nothing is submitted. What a strategy did with past runs: <a href="#/strategies">Strategies</a>.</p>
      <Card wide label="Which strategies"><div class="tools">{pick("a", a)}{pick("b", b)}<button type="button" disabled={isBusy || !a || !b} onClick={() => void ask()}>{isBusy ? "Planning …" : "Plan again"}</button></div>
        {problem && <Broken problem={problem} />}</Card>
      {!a || !b ? <Empty>Choose two strategies to see what each would do with the queue.</Empty> : !left || !right ? !problem && <Loading /> : (
        <>
          {left.bars.length === 0 && <p class="lead">Nothing waits and nothing runs, so there is nothing to tell them apart.</p>}
          <Card title="Predicted" wide><Table heads={[a, b]} rows={rows.map(([name, told]) => [name, told(left), told(right)])} all /></Card>
          <Card title="Runs: when each ends" wide><Table heads={[a, b]} rows={[...new Set([...left.runs, ...right.runs].map((run) => run.run_id))].map((id): Row => [id, ...[left, right].map((plan) => { const run = plan.runs.find((one) => one.run_id === id); return run ? `in ${span((Date.parse(run.ends.p50) - Date.parse(plan.at)) / 1000)}` : "–"; }) as [string, string]])} all /></Card>
          <Card title="Tasks that go elsewhere" wide><Table heads={[a, b]} rows={union(nodesOf(left), nodesOf(right))} /></Card>
        </>)}
    </>
  );
}

const nodesOf = (plan: Plan): Record<string, unknown> => Object.fromEntries(plan.bars.map((bar) => [`${bar.task} of ${bar.run_id}`, bar.node]));

function Both({ a, b, all }: { a: string; b: string; all: boolean }): JSX.Element {
  const [first, second] = [useQuery<Detail>(runPath(a), (event) => event.run_id === a), useQuery<Detail>(runPath(b), (event) => event.run_id === b)];
  const [one, other] = [useQuery<Spec>(`${runPath(a)}/spec`), useQuery<Spec>(`${runPath(b)}/spec`)];
  return <Shown query={first}>{(left) => <Shown query={second}>{(right) => (
    <>
      <Card title="Runs" wide><Table heads={heads(left, right)} rows={runRows(left, right)} all /></Card>
      <Card title="Parameters" wide><Table heads={heads(left, right)} rows={union(left.parameters, right.parameters)} all={all} /></Card>
      <Card title="Values and figures" wide><Table heads={heads(left, right)} rows={union(values(left), values(right))} all={all} /></Card>
      <Card title="Tasks: node and run time" wide><Table heads={heads(left, right)} rows={union(places(left), places(right))} all={all} /></Card>
      <Card title="Data digests" wide><Table heads={heads(left, right)} rows={union(digests(left), digests(right))} all={all} /></Card>
      {one.data && other.data && <Card title="Code" wide><Code a={one.data} b={other.data} /></Card>}
    </>
  )}</Shown>}</Shown>;
}

const runRows = (a: Detail, b: Detail): Row[] => [
  ["state", a.state, b.state], ["waited", span(a.waiting_seconds), span(b.waiting_seconds)],
  ["execution", span(a.execution_seconds), span(b.execution_seconds)], ["turnaround", span(a.turnaround_seconds), span(b.turnaround_seconds)],
  ["priority", String(a.priority), String(b.priority)], ["project", a.project, b.project],
];

function union(a: Record<string, unknown>, b: Record<string, unknown>): Row[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].map((name) => [name, name in a ? shown(a[name]) : "–", name in b ? shown(b[name]) : "–"]);
}

function values(run: Detail): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const task of run.tasks) for (const [port, output] of Object.entries(task.outputs)) {
    const name = port === "output" ? task.key : `${task.key} ${port}`;
    if (!output.artifact) found[name] = shown(output.value).slice(0, 120);
    else for (const [figure, value] of Object.entries(output.artifact.metadata)) found[`${name} ${figure}`] = shown(value).slice(0, 120);
  }
  return found;
}

const last = (task: Task): string => `${task.node ?? "–"} · ${task.from_cache ? "reused" : span(task.attempts[task.attempts.length - 1].run_seconds)}`;
const places = (run: Detail): Record<string, unknown> => Object.fromEntries(run.tasks.map((task) => [task.key, last(task)]));
const digests = (run: Detail): Record<string, unknown> => Object.fromEntries(run.tasks.flatMap((task) => Object.entries(task.outputs).flatMap(([port, output]) => output.artifact?.digest ? [[`${task.key} ${port}`, output.artifact.digest.slice(0, 19)]] : [])));

const heads = (...runs: Detail[]): ComponentChildren[] => runs.map((run) => <><a href={link(["runs", run.id])}>{run.id}</a> <State name={run.state} /></>);

function Table({ heads, rows, all }: { heads: ComponentChildren[]; rows: Row[]; all?: boolean }): JSX.Element {
  const chosen = all ? rows : rows.filter(([, left, right]) => left !== right);
  if (!chosen.length) return <Empty>{rows.length ? `All ${rows.length} are the same.` : "Nothing to compare."}</Empty>;
  return (
    <Limited items={chosen} most={60}>{(items) => <div class="scroll" tabIndex={0} role="region" aria-label="Comparison"><table class="compared">
      <thead><tr><th scope="col"><span class="hidden">what</span></th>{heads.map((head, index) => <th scope="col" key={index}>{head}</th>)}</tr></thead>
      <tbody>{items.map(([name, left, right]) => <tr key={name} class={left !== right ? "differs" : ""}><th scope="row">{name}{left !== right && <span class="hidden"> differs</span>}</th><td><code>{left}</code></td><td><code>{right}</code></td></tr>)}</tbody>
    </table>{!all && rows.length > chosen.length && <p class="quiet">{rows.length - chosen.length} more are the same</p>}</div>}</Limited>
  );
}

interface Component { image?: string | null; packages?: string[]; code: { source?: string; command?: unknown[]; args?: unknown[] } }
interface Spec { components: Record<string, Component>; foreign?: { text: string } | null }

/** What each component runs: image, packages and command, one a line, and its source; of a foreign pipeline, its document. */
function sources(spec: Spec): Record<string, string> {
  if (spec.foreign) return { "the pipeline's document": spec.foreign.text };
  const words = (parts: unknown[]): string => parts.map((part) => typeof part === "string" ? part : JSON.stringify(part)).join(" ");
  return Object.fromEntries(Object.entries(spec.components).map(([name, { image, packages, code }]) => [name, [
    image ? `image ${image}` : "", packages?.length ? `packages ${packages.join(" ")}` : "", code.command?.length ? `command ${words(code.command)}` : "", code.args?.length ? `args ${words(code.args)}` : "", code.source ?? "",
  ].filter(Boolean).join("\n")]));
}

function Code({ a, b }: { a: Spec; b: Spec }): JSX.Element {
  const [before, after] = [sources(a), sources(b)];
  const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) => before[name] !== after[name]);
  if (!changed.length) return <Empty>The code of all components is the same.</Empty>;
  return <>{changed.map((name) => <section key={name}><h3>{name}</h3><pre class="log diff">{diff((before[name] ?? "").split("\n"), (after[name] ?? "").split("\n")).map(([sign, line], index) => <span key={index} class={sign === "+" ? "plus" : sign === "-" ? "minus" : ""}>{`${sign} ${line}\n`}</span>)}</pre></section>)}</>;
}

/** Lines kept, taken out and put in, by the longest common subsequence; long files are shown whole, one after the other. */
function diff(a: string[], b: string[]): [string, string][] {
  if (a.length * b.length > 1_000_000) return [...a.map((line): [string, string] => ["-", line]), ...b.map((line): [string, string] => ["+", line])];
  const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
  const found: [string, string][] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { found.push([" ", a[i++]]); j++; }
    else if (j >= b.length || (i < a.length && table[i + 1][j] >= table[i][j + 1])) found.push(["-", a[i++]]);
    else found.push(["+", b[j++]]);
  }
  return found;
}
