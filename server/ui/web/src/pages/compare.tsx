import type { JSX } from "preact";
import { type Detail, type Run, runPath, type Task } from "../api";
import { useQuery } from "../live";
import { Card, Empty, Shown, State } from "../parts/basics";
import { link, replaceQuery, type Route } from "../route";
import { shown, span } from "../words";

type Row = [string, string, string];

export function Compare({ route }: { route: Route }): JSX.Element {
  const [a, b] = ["a", "b"].map((name) => route.query.get(name));
  const runs = useQuery<{ runs: Run[] }>("/api/v1/runs?limit=200");
  const pick = (side: string, value: string | null): JSX.Element => (
    <label class="field"><span>{side === "a" ? "First run" : "Second run"}</span><select value={value ?? ""} onChange={(event) => replaceQuery(route, { [side]: event.currentTarget.value })}>
      <option value="">choose …</option>{value && !runs.data?.runs.some((run) => run.id === value) && <option>{value}</option>}{runs.data?.runs.map((run) => <option key={run.id} value={run.id}>{run.id} ({run.state})</option>)}
    </select></label>);
  return (
    <>
      <h1>Compare</h1>
      <Card wide><div class="tools">{pick("a", a)}{pick("b", b)}</div></Card>
      {a && b ? <Both key={a + b} a={a} b={b} /> : <Empty>Choose two runs to see how they differ.</Empty>}
    </>
  );
}

function Both({ a, b }: { a: string; b: string }): JSX.Element {
  const [first, second] = [useQuery<Detail>(runPath(a), (event) => event.run_id === a), useQuery<Detail>(runPath(b), (event) => event.run_id === b)];
  const [one, other] = [useQuery<Spec>(`${runPath(a)}/spec`), useQuery<Spec>(`${runPath(b)}/spec`)];
  return <Shown query={first}>{(left) => <Shown query={second}>{(right) => (
    <>
      <Card title="Runs" wide><Table a={left} b={right} rows={runRows(left, right)} all /></Card>
      <Card title="Parameters" wide><Table a={left} b={right} rows={union(left.parameters, right.parameters)} all /></Card>
      <Card title="Values and figures" wide><Table a={left} b={right} rows={union(values(left), values(right))} all /></Card>
      <Card title="Tasks: node and run time" wide><Table a={left} b={right} rows={union(places(left), places(right))} all /></Card>
      <Card title="Data digests that differ" wide><Table a={left} b={right} rows={union(digests(left), digests(right))} /></Card>
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

function Table({ a, b, rows, all }: { a: Detail; b: Detail; rows: Row[]; all?: boolean }): JSX.Element {
  const shownRows = all ? rows : rows.filter(([, left, right]) => left !== right);
  if (!shownRows.length) return <Empty>{rows.length ? "No difference." : "Nothing to compare."}</Empty>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Comparison"><table>
      <thead><tr><th scope="col"></th>{[a, b].map((run) => <th scope="col" key={run.id}><a href={link(["runs", run.id])}>{run.id}</a> <State name={run.state} /></th>)}<th scope="col"><span class="hidden">difference</span></th></tr></thead>
      <tbody>{shownRows.map(([name, left, right]) => <tr key={name} class={left !== right ? "differs" : ""}><th scope="row">{name}</th><td><code>{left}</code></td><td><code>{right}</code></td><td>{left !== right ? "differs" : ""}</td></tr>)}</tbody>
    </table></div>
  );
}

interface Spec { components: Record<string, { code: { source?: string } }> }

function Code({ a, b }: { a: Spec; b: Spec }): JSX.Element {
  const names = [...new Set([...Object.keys(a.components), ...Object.keys(b.components)])];
  const source = (spec: Spec, name: string): string => spec.components[name]?.code.source ?? "";
  const changed = names.filter((name) => source(a, name) !== source(b, name));
  if (!changed.length) return <Empty>The code of all components is the same.</Empty>;
  return <>{changed.map((name) => <section key={name}><h3>{name}</h3><pre class="log diff">{diff(source(a, name).split("\n"), source(b, name).split("\n")).map(([sign, line], index) => <span key={index} class={sign === "+" ? "plus" : sign === "-" ? "minus" : ""}>{`${sign} ${line}\n`}</span>)}</pre></section>)}</>;
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
