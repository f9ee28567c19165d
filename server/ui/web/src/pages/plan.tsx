import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type Band, call, type NodeView, type Placer, type Plan, type PlanOutcome, Problem, type Run, runPath } from "../api";
import { useQuery } from "../live";
import { Broken, Card, Empty, Fact, Key, Limited, Loading } from "../parts/basics";
import { type Bar, Gantt } from "../parts/gantt";
import { link, type Route } from "../route";
import { between, hue, many, size, span } from "../words";

const MOST_STEPS = 12;
const OBJECTIVES = ["turnaround", "makespan", "cost", "deadline", "fair"];

export function PlanPage({ route }: { route: Route }): JSX.Element {
  const runs = useQuery<{ runs: Run[] }>("/api/v1/runs?limit=60");
  const nodes = useQuery<{ nodes: NodeView[] }>("/api/v1/nodes");
  const placers = useQuery<{ placers: Placer[] }>("/api/v1/placers?all=true");
  const [source, setSource] = useState(route.query.get("run") ?? "");
  const [file, setFile] = useState<{ name: string; spec: unknown } | null>(null);
  const [strategy, setStrategy] = useState(route.query.get("strategy") ?? "");
  const [objective, setObjective] = useState("");
  const [priority, setPriority] = useState("");
  const [add, setAdd] = useState<string[]>([]);
  const [remove, setRemove] = useState<string[]>([]);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [plan, setPlan] = useState<Plan | null>(null);

  const read = async (chosen: File | undefined): Promise<void> => {
    if (!chosen) return;
    try {
      setFile({ name: chosen.name, spec: JSON.parse(await chosen.text()) });
      setProblem(null);
    } catch {
      setProblem(new Problem(`${chosen.name} is no JSON.`, 0, "Build a spec from a definition file first: mlopx build FILE.py -o FILE.json"));
    }
  };
  const ask = async (): Promise<void> => {
    setBusy(true);
    setProblem(null);
    try {
      const body: Record<string, unknown> = { add_nodes: add, remove_nodes: remove };
      if (strategy) body.strategy = strategy;
      if (objective) body.objective = objective;
      if (source === "file" && file) body.spec = file.spec;
      else if (source && source !== "file") {
        const [spec, run] = await Promise.all([call(`${runPath(source)}/spec`), call<{ parameters: unknown }>(runPath(source))]);
        Object.assign(body, { spec, parameters: run.parameters });
      }
      if (priority && body.spec) body.options = { priority: Number(priority) };
      setPlan(await call<Plan>("/api/v1/plan", body));
    } catch (error) {
      setProblem(error as Problem);
    } finally {
      setBusy(false);
    }
  };
  useEffect(() => { void ask(); }, []);
  const change = (list: string[], set: (next: string[]) => void, name: string): void => { if (name) set([...list, name]); };
  const names = nodes.data?.nodes.filter((node) => !node.is_virtual).map((node) => node.name) ?? [];
  return (
    <>
      <h1>What if</h1>
      <p class="lead">A dry run on the cluster and the queue as they are now. Nothing is submitted.</p>
      <Card wide>
        <form class="form" onSubmit={(event) => { event.preventDefault(); void ask(); }}>
          <label class="field"><span>Pipeline</span><select value={source} onChange={(event) => setSource(event.currentTarget.value)}>
            <option value="">none: the queue as it is</option><option value="file">from a spec file …</option>
            {source && source !== "file" && !runs.data?.runs.some((run) => run.id === source) && <option value={source}>like {source}</option>}
            {runs.data?.runs.map((run) => <option key={run.id} value={run.id}>like {run.id}</option>)}
          </select></label>
          {source === "file" && <label class="field"><span>Spec (JSON)</span><input type="file" accept=".json,application/json" onChange={(event) => void read(event.currentTarget.files?.[0])} /></label>}
          <label class="field"><span>Strategy</span><select value={strategy} onChange={(event) => setStrategy(event.currentTarget.value)}><option value="">as it is</option>{placers.data?.placers.map((one) => <option key={one.name} value={one.name}>{one.name}</option>)}</select></label>
          <label class="field"><span>Objective</span><select value={objective} onChange={(event) => setObjective(event.currentTarget.value)}><option value="">as it is</option>{OBJECTIVES.map((one) => <option key={one}>{one}</option>)}</select></label>
          {source !== "" && <label class="field"><span>Priority</span><input type="number" min={-1000} max={1000} value={priority} placeholder="0" onInput={(event) => setPriority(event.currentTarget.value)} /></label>}
          <label class="field"><span>One more node like</span><select value="" onChange={(event) => { change(add, setAdd, event.currentTarget.value); event.currentTarget.value = ""; }}><option value="">choose …</option>{names.map((one) => <option key={one}>{one}</option>)}</select></label>
          <label class="field"><span>Without node</span><select value="" onChange={(event) => { change(remove, setRemove, event.currentTarget.value); event.currentTarget.value = ""; }}><option value="">choose …</option>{names.filter((one) => !remove.includes(one)).map((one) => <option key={one}>{one}</option>)}</select></label>
          <button type="submit" class="primary" disabled={busy || (source === "file" && !file)}>{busy ? "Planning …" : "Plan it"}</button>
        </form>
        {(add.length > 0 || remove.length > 0) && <p class="chips">{add.map((name, index) => <button key={`+${index}`} type="button" class="small" onClick={() => setAdd(add.filter((_, other) => other !== index))} aria-label={`Do not add ${name}`}>+ {name} ✕</button>)}{remove.map((name) => <button key={`-${name}`} type="button" class="small" onClick={() => setRemove(remove.filter((one) => one !== name))} aria-label={`Keep ${name}`}>− {name} ✕</button>)}</p>}
        {problem && <Broken problem={problem} retry={() => void ask()} />}
      </Card>
      {busy && !plan && <Card wide label="Being planned"><p class="quiet">The strategy plans the queue, for ten seconds at most.</p><Loading /></Card>}
      {plan && !problem && <Answer plan={plan} />}
    </>
  );
}

function Answer({ plan }: { plan: Plan }): JSX.Element {
  const at = Date.parse(plan.at);
  const bars = plan.bars.map((bar): { node: string; bar: Bar } => ({
    node: bar.node,
    bar: {
      id: `${bar.run_id}/${bar.task}`, start: Date.parse(bar.starts.p50), end: Math.max(Date.parse(bar.ends.p50), Date.parse(bar.starts.p50) + 50), label: `${bar.task} · ${bar.name}`,
      title: `${bar.task} of ${bar.is_new ? "this plan" : bar.run_id} on ${bar.node}: starts in ${span((Date.parse(bar.starts.p50) - at) / 1000)}, done in ${span((Date.parse(bar.ends.p10) - at) / 1000)} to ${span((Date.parse(bar.ends.p90) - at) / 1000)}${bar.is_from_history ? "" : "; its run time is a guess"}`,
      tone: bar.is_new ? "mine" : `h${hue(bar.run_id)} faint`, href: bar.is_new ? undefined : link(["runs", bar.run_id]), isPlan: !bar.is_from_history,
      likely: [Date.parse(bar.ends.p10), Date.parse(bar.ends.p50), Date.parse(bar.ends.p90)],
    },
  }));
  const latest = (all: typeof bars): number => Math.max(at + 1000, ...all.map(({ bar }) => bar.likely?.[2] ?? 0));
  const whole = latest(bars);
  const to = plan.subject ? Math.min(whole, at + (latest(bars.filter(({ bar }) => bar.tone === "mine")) - at) * 1.5) : whole;
  const before = Math.max(plan.critical_path.length - MOST_STEPS, 0);
  const nodes = [...new Set(bars.map((one) => one.node))].sort();
  return (
    <>
      <Card wide>
        <p class="sentence large" role="status">{plan.sentence}</p>
        {bars.length > 0 && <Compare now={plan} before={plan.unchanged} />}
        {plan.bottleneck && <p><strong>Bottleneck:</strong> {plan.bottleneck}.</p>}
      </Card>
      {bars.length === 0 ? <Empty>Nothing to draw: nothing waits and nothing runs. Choose a pipeline above.</Empty> : (
        <Card title="Predicted, by node" wide aside={<span class="quiet">from now{to < whole ? ", as far as this pipeline needs" : ""}</span>}>
          <Gantt lanes={nodes.map((node) => ({ id: node, label: node, bars: bars.filter((one) => one.node === node).map((one) => one.bar) }))} from={at} to={to} now={null} origin={at} label="Predicted timeline by node" />
          <p class="legend"><Key look="mine">this pipeline</Key><Key look="thin">when it may end</Key><Key look="dashed">its run time is a guess</Key></p>
          <details><summary>when each task starts and ends</summary><Times plan={plan} /></details>
        </Card>)}
      <div class="columns">
        {plan.critical_path.length > 0 && <Card title="Critical path">{before > 0 && <p class="quiet">after {many(before, "other task")}:</p>}<ol class="path" start={before + 1}>{plan.critical_path.slice(before).map((step) => <li key={step.run_id + step.task}><strong>{step.task}</strong>{step.run_id !== (plan.subject ?? step.run_id) && <span class="quiet"> of {step.run_id}</span>} on {step.node} <span class="quiet">{span(step.start_seconds)} → {span(step.finish_seconds)}{step.why === "room" ? " · started when room came free" : step.why === "data" ? " · started when its data was there" : ""}</span></li>)}</ol></Card>}
        {plan.runs.length > 0 && <Card title="Other runs"><table><thead><tr><th scope="col">run</th><th scope="col" class="num">ends in</th><th scope="col" class="num">change</th></tr></thead><tbody>{plan.runs.slice(0, 20).map((run) => <tr key={run.run_id}><th scope="row"><a href={link(["runs", run.run_id])}>{run.run_id}</a></th><td class="num">{span((Date.parse(run.ends.p50) - at) / 1000)}</td><td class="num">{run.delay_seconds === null ? "–" : Math.abs(run.delay_seconds) < 0.5 ? "none" : `${run.delay_seconds > 0 ? "+" : "−"}${span(Math.abs(run.delay_seconds))}`}</td></tr>)}</tbody></table></Card>}
        {plan.unplaced.length > 0 && <Card title="Cannot be placed"><ul class="rows">{plan.unplaced.map((one) => <li key={one.run_id + one.task}><div class="grow"><strong>{one.task}</strong><div class="reason">{one.reason}</div></div></li>)}</ul></Card>}
        {plan.assumptions.length > 0 && <Card title="Assumed"><ul>{plan.assumptions.map((text) => <li key={text}>{text}</li>)}</ul></Card>}
      </div>
    </>
  );
}

/** The bars in words: bands that hold eight cases of ten. */
function Times({ plan }: { plan: Plan }): JSX.Element {
  const at = Date.parse(plan.at);
  const band = (one: Band): string => [one.p10, one.p90].map((edge) => span((Date.parse(edge) - at) / 1000)).join(" – ");
  const own = plan.subject ? plan.bars.filter((bar) => bar.is_new) : plan.bars;
  return (
    <Limited items={[...own].sort((a, b) => Date.parse(a.starts.p50) - Date.parse(b.starts.p50))} most={40}>{(items) => (
      <div class="scroll" tabIndex={0} role="region" aria-label="When each task starts and ends"><table>
        <thead><tr><th scope="col">task</th><th scope="col">node</th><th scope="col" class="num">starts in</th><th scope="col" class="num">done in</th></tr></thead>
        <tbody>{items.map((bar) => <tr key={bar.run_id + bar.task}><th scope="row">{bar.task}{!bar.is_new && <span class="quiet"> of {bar.run_id}</span>}</th><td>{bar.node}</td><td class="num">{bar.is_running ? "runs" : band(bar.starts)}</td><td class="num">{band(bar.ends)}{!bar.is_from_history && <span class="quiet"> a guess</span>}</td></tr>)}</tbody>
      </table></div>)}</Limited>
  );
}

function Compare({ now, before }: { now: PlanOutcome; before: PlanOutcome | null }): JSX.Element {
  const rows: [string, (one: PlanOutcome) => string][] = [
    ["strategy", (one) => one.strategy],
    ["first task starts in", (one) => span(one.waiting_seconds)],
    ["done in", (one) => one.turnaround_seconds === null ? "–" : `${span(one.turnaround_seconds)} (${between(one.turnaround_p10_seconds, one.turnaround_p90_seconds)})`],
    ["bytes between nodes", (one) => size(one.bytes_moved)],
    ["cost", (one) => (one.cost === null ? "not known: nodes without a rate" : one.cost.toFixed(4))],
  ];
  if (!before) return <dl class="facts">{rows.map(([name, told]) => <Fact key={name} name={name}>{told(now)}</Fact>)}</dl>;
  return <table><thead><tr><th scope="col"></th><th scope="col">with the change</th><th scope="col">as it is</th></tr></thead><tbody>{rows.map(([name, told]) => <tr key={name}><th scope="row">{name}</th><td><strong>{told(now)}</strong></td><td>{told(before)}</td></tr>)}</tbody></table>;
}
