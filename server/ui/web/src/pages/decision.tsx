import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Candidate, RunEvent, TaskExplained, Verdict } from "../api";
import { call, Problem, runPath } from "../api";
import { useNow, useQuery } from "../live";
import { Broken, Card, Copy, Fact, Key, Remarks, Shown, State } from "../parts/basics";
import { useWidth } from "../parts/gantt";
import { link, type Route } from "../route";
import { between, clock, expected, span, told } from "../words";

const SAID: Record<string, string> = { free: "free now", busy: "busy", "not-there-yet": "can be added", never: "cannot run it" };

export function Decision({ route }: { route: Route }): JSX.Element {
  const [, id, , key] = route.parts;
  const now = useNow(1000);
  const found = useQuery<TaskExplained>(`${runPath(id)}/explain/task?task=${encodeURIComponent(key)}`, (event: RunEvent) => event.run_id === id, 5);
  return (
    <>
      <nav class="crumbs" aria-label="Where this is"><a href={link(["runs", id])}>{id}</a> <span aria-hidden="true">/</span> {key}</nav>
      <Shown query={found} name={key} away={<a href={link(["runs", id])}>Go to the run.</a>}>{(task) => (
        <>
          <header class="page-head">
            <div class="title"><h1>{key}</h1><State name={task.state} /><span class="grow" /><a class="button" href={link(["runs", id, "logs"], { task: key })}>Logs</a></div>
            <p class="sentence large" aria-live="polite">{told(task.sentence)}</p>
            <Remarks texts={task.warnings} />
            <dl class="facts">
              <Fact name="node">{task.node ?? "–"}</Fact>
              {task.position !== null && <Fact name="position">{task.position}</Fact>}
              {task.starts && <Fact name="starts">{expected(task.starts, now)}</Fact>}
              {task.ends && <Fact name="done">{expected(task.ends, now)}</Fact>}
            </dl>
            {task.actions.length > 0 && <div class="actions"><strong>What you can do</strong><ul>{task.actions.map((one) => <li key={one.text}>{one.text} {one.command && <Copy text={one.command} />} <Take command={one.command} run={id} task={key} done={found.refresh} /></li>)}</ul></div>}
          </header>
          {task.hindsight && <Hindsight task={task} />}
          {task.nodes.length > 0 && <Card title="What each node says now" wide><Verdicts nodes={task.nodes} /></Card>}
          {task.decision && <Record task={task} />}
          {!task.decision && <p class="quiet">Nothing was decided about this task yet.</p>}
        </>
      )}</Shown>
    </>
  );
}

/** A button for what `mlopx accept` would do; nothing for any other command. */
function Take({ command, run, task, done }: { command: string | null; run: string; task: string; done: () => void }): JSX.Element | null {
  const [problem, setProblem] = useState<Problem | null>(null);
  if (!command?.startsWith("mlopx accept ")) return null;
  const named = (flag: string): string | undefined => command.match(new RegExp(`--${flag} (\\S+)`))?.[1];
  const body = { task, ...(named("node") && { node: named("node") }), ...(named("option") && { option: named("option") }) };
  const take = async (): Promise<void> => {
    try {
      await call(`${runPath(run)}/accept`, body);
      setProblem(null);
    } catch (error) {
      setProblem(error as Problem);
    }
    done();
  };
  return <><button type="button" class="small primary" onClick={() => void take()}>Take {named("node") ?? named("option")}</button>{problem && <Broken problem={problem} />}</>;
}

function Record({ task }: { task: TaskExplained }): JSX.Element {
  const decision = task.decision!;
  return (
    <>
      <Card title="The decision" wide aside={<span class="quiet">{clock(decision.at)}</span>}>
        <dl class="facts">
          <Fact name="strategy">{decision.strategy} <span class="quiet">version {decision.strategy_version || "?"}</span></Fact>
          <Fact name="its reason">{decision.reason}</Fact>
          <Fact name="cycle">{decision.cycle}</Fact>
          <Fact name="picture of the nodes">{span(decision.snapshot_age_seconds)} old</Fact>
          {decision.margin_seconds !== null && <Fact name="runner-up">{decision.runner_up}, {Math.abs(decision.margin_seconds) < 0.05 ? "as soon" : `${span(Math.abs(decision.margin_seconds))} ${decision.margin_seconds >= 0 ? "later" : "sooner"}`}</Fact>}
          {decision.estimate && <Fact name="estimate">{span(decision.estimate.p50)} <span class="quiet">({between(decision.estimate.p10, decision.estimate.p90)}, {decision.estimate.source})</span></Fact>}
          {decision.fallback_from && <Fact name="stood in for">{decision.fallback_from}{!decision.reason.includes("is not ready yet") && ", which gave no answer"}</Fact>}
        </dl>
      </Card>
      {decision.candidates.length > 0 && <Card title="Candidates" wide aside={<span class="quiet">seconds from the decision</span>}><Candidates found={decision.candidates} coming={task.nodes.filter((one) => one.verdict === "not-there-yet").map((one) => one.node)} /></Card>}
      {decision.rejected.length > 0 && <Card title="Ruled out" wide><ul class="rows">{decision.rejected.map((one) => <li key={one.reason}><span class="count">{one.count}</span><div class="grow">{one.reason}{one.nodes.length > 0 && <div class="quiet">{one.nodes.join(", ")}{one.nodes.length < one.count ? " …" : ""}</div>}</div></li>)}</ul></Card>}
    </>
  );
}

/** Wait, then run time with its band, for each candidate on one axis; the same figures as a table beside it. */
function Candidates({ found, coming }: { found: Candidate[]; coming: string[] }): JSX.Element {
  const [box, width] = useWidth();
  const known = found.filter((one) => one.start_seconds !== null);
  const end = Math.max(...known.map((one) => (one.start_seconds ?? 0) + one.seconds_p90), 0.1);
  const room = width - 20;
  const x = (seconds: number): number => 10 + (seconds / end) * room;
  return (
    <>
      <div class="gantt" ref={box} aria-hidden="true">
        <svg width={width} height={known.length * 38 + 6}>
          {known.map((one, index) => {
            const y = index * 38 + 16;
            const start = one.start_seconds ?? 0;
            return (
              <g key={one.node + one.option}>
                <text class="cand-name" x={10} y={y - 4}>{one.node}{one.option !== "default" ? ` / ${one.option}` : ""}{one.is_chosen ? " — chosen" : ""}</text>
                <rect class="cand-wait" x={x(0)} y={y + 3} width={x(start) - x(0)} height={8} />
                <rect class={`cand-run${one.is_chosen ? " mine" : ""}`} x={x(start)} y={y} width={Math.max(x(start + one.seconds_p50) - x(start), 2)} height={14} rx={3} />
                <line class="cand-case" x1={x(start + one.seconds_p10)} x2={x(start + one.seconds_p90)} y1={y + 7} y2={y + 7} />
                <line class="cand-band" x1={x(start + one.seconds_p10)} x2={x(start + one.seconds_p90)} y1={y + 7} y2={y + 7} />
              </g>);
          })}
        </svg>
      </div>
      <p class="legend" aria-hidden="true"><Key look="wait">until it has room</Key><Key look="solid">run time, median</Key><Key look="line">its band, 10 % to 90 %</Key></p>
      <div class="scroll" tabIndex={0} role="region" aria-label="Candidates"><table>
        <thead><tr><th scope="col">node</th><th scope="col"><span class="hidden">verdict</span></th><th scope="col" class="num">has room in</th><th scope="col" class="num">run time</th><th scope="col" class="num">band</th><th scope="col" class="num">finish</th><th scope="col" class="num">than chosen</th><th scope="col" class="num">score</th></tr></thead>
        <tbody>{found.map((one) => (
          <tr key={one.node + one.option} class={one.is_chosen ? "chosen" : ""}><th scope="row">{one.node}{one.option !== "default" && <span class="quiet"> {one.option}</span>}</th><td>{one.is_chosen ? "chosen" : one.is_free ? "" : coming.includes(one.node) ? "not there before" : "busy until then"}</td>
            <td class="num">{one.start_seconds === 0 ? "now" : span(one.start_seconds)}</td><td class="num">{span(one.seconds_p50)}</td><td class="num quiet">{between(one.seconds_p10, one.seconds_p90)}</td><td class="num">{span(one.finish_seconds)}</td>
            <td class="num">{one.is_chosen || one.later_by_seconds === null ? "" : Math.abs(one.later_by_seconds) < 0.05 ? "as soon" : `${span(Math.abs(one.later_by_seconds))} ${one.later_by_seconds > 0 ? "later" : "sooner"}`}</td><td class="num quiet">{one.score === null ? "" : one.score.toFixed(1)}</td></tr>))}
        </tbody></table></div>
    </>
  );
}

function Verdicts({ nodes }: { nodes: Verdict[] }): JSX.Element {
  const shown = nodes.slice(0, 60);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="What each node says"><table>
      <thead><tr><th scope="col">node</th><th scope="col">verdict</th><th scope="col">why</th><th scope="col" class="num">run time there</th></tr></thead>
      <tbody>{shown.map((one) => <tr key={one.node}><th scope="row">{one.node}{one.option && one.option !== "default" && <span class="quiet"> {one.option}</span>}</th><td><span class={`verdict v-${one.verdict}`}>{SAID[one.verdict]}</span></td><td class="told">{one.reason}</td><td class="num">{one.seconds_p50 === null ? "–" : <>{span(one.seconds_p50)} <span class="quiet">({between(one.seconds_p10, one.seconds_p90)})</span></>}</td></tr>)}</tbody>
    </table>{nodes.length > shown.length && <p class="quiet">and {nodes.length - shown.length} more nodes</p>}</div>
  );
}

function Hindsight({ task }: { task: TaskExplained }): JSX.Element {
  const seen = task.hindsight!;
  const [box, width] = useWidth();
  const end = Math.max(seen.predicted_p90, seen.actual_seconds) * 1.08 || 1;
  const x = (seconds: number): number => 8 + (seconds / end) * (width - 16);
  return (
    <Card title="Predicted and actual" wide>
      <div class="gantt" ref={box}>
        <svg width={width} height={46} role="img" aria-label={`Predicted ${span(seen.predicted_p50)}, between ${span(seen.predicted_p10)} and ${span(seen.predicted_p90)}; ran ${span(seen.actual_seconds)}`}>
          <rect class="cand-wait" x={x(seen.predicted_p10)} y={12} width={Math.max(x(seen.predicted_p90) - x(seen.predicted_p10), 2)} height={22} rx={4} />
          <line class="median" x1={x(seen.predicted_p50)} x2={x(seen.predicted_p50)} y1={9} y2={37} />
          <circle class={seen.is_inside_band ? "actual inside" : "actual"} cx={x(seen.actual_seconds)} cy={23} r={7} />
        </svg>
      </div>
      <p class="legend" aria-hidden="true"><Key look="wait">predicted band, 10 % to 90 %</Key><Key look="line">predicted median</Key><Key look={seen.is_inside_band ? "point inside" : "point"}>actual</Key></p>
      <dl class="facts">
        <Fact name="predicted">{span(seen.predicted_p50)} <span class="quiet">({between(seen.predicted_p10, seen.predicted_p90)})</span></Fact>
        <Fact name="actual">{span(seen.actual_seconds)}, {seen.is_inside_band ? "inside the band" : "outside the band"}</Fact>
        <Fact name="regret">{seen.regret_seconds && seen.regret_seconds >= 0.05 ? `${span(seen.regret_seconds)}: ${seen.best_node} would have ended it sooner, by what is known now` : "none: no other candidate would have ended it sooner, by what is known now"}</Fact>
      </dl>
    </Card>
  );
}
