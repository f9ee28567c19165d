import type { JSX } from "preact";
import type { Placer, Stretch } from "../api";
import { useQuery } from "../live";
import { Card, Empty, Fact, Limited, Shown } from "../parts/basics";
import { Scatter } from "../parts/scatter";
import { link } from "../route";

interface Quality { component: string; node_class: string; runs: number; coverage: number; median_error: number; p90_error: number; bias: number }
interface Reliability { kind: string; strategy: string; asked: number; inside: number; coverage: number | null }
const isJudged = (one: Reliability): boolean => one.asked > 0;

interface Calibration { runs: number; widening: number; overall: Quality | null; components: Quality[]; forecasts: Reliability[] }

const KINDS: Record<string, string> = { "run-ends": "ends of runs", "task-starts": "starts of tasks", "task-ends": "ends of tasks", "running-ends": "ends of running tasks" };

const LATELY = 86_400;
const percent = (share: number): string => share > 9.99 ? "over 999 %" : `${Math.round(share * 100)} %`;

export function Strategies(): JSX.Element {
  const found = useQuery<{ placers: Placer[] }>("/api/v1/placers?all=true");
  return (
    <>
      <h1>Strategies</h1>
      <p class="lead">A strategy orders the waiting work and gives each task its node. The setting <code>PLACER</code> chooses one.</p>
      <Shadows />
      <Predictions />
      <Card title="Strategies there are" wide><Shown query={found}>{({ placers }) => {
        const current = placers.find((one) => one.is_current)?.name ?? "";
        return <ul class="rows">{[...placers].sort((a, b) => Number(b.is_current) - Number(a.is_current)).map((one) => (
          <li key={one.name}><div class="grow"><strong>{one.name}</strong> <span class="quiet">version {one.version}</span> {one.is_current && <span class="verdict v-free">in use</span>} {one.is_default && !one.is_current && <span class="verdict v-not-there-yet">default</span>}
            <div>{one.summary}</div><div class="quiet">{one.source}</div></div>
            {!one.is_current && <p class="links"><a class="button small" href={link(["plan"], { strategy: one.name })} aria-label={`What if ${one.name}`}>What if</a><a class="button small" href={link(["compare"], { what: "strategies", a: current, b: one.name })} aria-label={`Compare ${one.name} with ${current}`}>Compare</a></p>}</li>))}</ul>;
      }}</Shown></Card>
    </>
  );
}

interface Shadow {
  name: string; comparisons: number; tasks: number; agreement: number | null; predicted_difference: number | null;
  cycles_compared: number; cycles_dropped: number; cycles_failed: number; problem: string;
}

/** What the strategies that run beside the live one would have done with the same queue. */
function Shadows(): JSX.Element {
  const found = useQuery<{ live: string; shadows: Shadow[] }>("/api/v1/strategies/shadows", undefined, 10);
  return (
    <Card title="Beside the live strategy" wide>
      <Shown query={found}>{({ live, shadows }) => shadows.length === 0
        ? <Empty>No other strategy is asked beside {live}. The setting <code>SHADOW=srpt_eft,fifo_greedy</code>, say, has others plan the same queue and only notes down what they would have done.</Empty>
        : <>
          <p class="sentence">{shadowSentence(live, shadows)}</p>
          <div class="scroll" tabIndex={0} role="region" aria-label="Beside the live strategy"><table>
            <thead><tr><th scope="col">strategy</th><th scope="col">predicted mean turnaround, against {live}</th><th scope="col" class="num">same node</th><th scope="col" class="num">tasks</th><th scope="col" class="num">cycles compared</th><th scope="col" class="num">too busy for</th><th scope="col" class="num">failed</th></tr></thead>
            <tbody>{shadows.map((one) => <tr key={one.name}><th scope="row"><a href={link(["compare"], { what: "strategies", a: live, b: one.name })}>{one.name}</a>{one.problem && <div class="reason bad">last problem: {one.problem}</div>}</th>
              <td><Diverging value={one.predicted_difference} most={Math.max(0.05, ...shadows.map((other) => Math.abs(other.predicted_difference ?? 0)))} /></td>
              <td class="num">{one.agreement === null ? "–" : percent(one.agreement)}</td><td class="num">{one.tasks}</td><td class="num">{one.cycles_compared}</td><td class="num">{one.cycles_dropped}</td><td class="num">{one.cycles_failed}</td></tr>)}</tbody>
          </table></div>
          <p class="quiet">Simulated: both plans of the same moment, by the same predictions. Nothing of it was carried out.</p>
        </>}
      </Shown>
    </Card>
  );
}

const signed = (share: number): string => `${share > 0 ? "+" : share < 0 ? "−" : ""}${(Math.abs(share) * 100).toFixed(1)} %`;

function shadowSentence(live: string, shadows: Shadow[]): string {
  const known = shadows.filter((one) => one.predicted_difference !== null);
  if (!known.length) return "Nothing was compared yet: it needs tasks that wait.";
  const best = known.reduce((a, b) => ((a.predicted_difference ?? 0) <= (b.predicted_difference ?? 0) ? a : b));
  const difference = best.predicted_difference ?? 0;
  if (Math.abs(difference) < 0.005) return `By prediction, ${best.name} would do as well as ${live}; no other would do better.`;
  return difference < 0
    ? `By prediction, mean turnaround with ${best.name} would be ${(-difference * 100).toFixed(1)} % less than with ${live}.`
    : `By prediction, ${live} does best: the next, ${best.name}, would take ${(difference * 100).toFixed(1)} % longer.`;
}

/** A bar to the left for less, to the right for more. */
function Diverging({ value, most }: { value: number | null; most: number }): JSX.Element {
  if (value === null) return <span class="quiet">not known yet</span>;
  const wide = (Math.min(Math.abs(value), most) / most) * 70;
  return <span class="diverging"><svg width={150} height={14} aria-hidden="true"><line class="grid" x1={75} x2={75} y1={0} y2={14} /><rect class={value < 0 ? "less" : "more"} x={value < 0 ? 75 - wide : 75} y={2} width={Math.max(wide, 1)} height={10} rx={2} /></svg> {signed(value)}</span>;
}

/** How good predictions of run times were: what strategies stand on. */
function Predictions(): JSX.Element {
  const calibration = useQuery<Calibration>("/api/v1/estimates/calibration", (event) => event.kind === "task-finished", 30);
  const lately = useQuery<{ stretches: Stretch[] }>(`/api/v1/timeline?seconds=${LATELY}`, (event) => event.kind === "task-finished", 30);
  return (
    <Card title="Predictions: how good they were" wide>
      <Shown query={calibration}>{({ runs, overall, components, forecasts }) => !overall ? <Empty>Nothing was predicted yet: once tasks have run here, this shows predicted against actual run times.</Empty> : (
        <>
          <p class="sentence">{percent(overall.coverage)} of the last {overall.runs} run times were inside the predicted band, which is meant to hold 80 %; half of them were off by less than {percent(Math.max(overall.median_error ?? 0, 0.01))}.</p>
          <div class="columns">
            <Shown query={lately}>{({ stretches }) => <Scatter stretches={stretches} />}</Shown>
            <div><dl class="facts">
              <Fact name="compared">{runs} tasks</Fact><Fact name="inside the band">{percent(overall.coverage)}</Fact><Fact name="median error">{percent(overall.median_error)}</Fact><Fact name="9 of 10 are within">{percent(overall.p90_error)}</Fact>
            </dl>
            <Limited items={[...components].sort((a, b) => b.runs - a.runs)} most={8}>{(items) => (
              <div class="scroll" tabIndex={0} role="region" aria-label="Predictions by component"><table>
                <thead><tr><th scope="col">component</th><th scope="col">nodes</th><th scope="col" class="num">runs</th><th scope="col" class="num">in band</th><th scope="col" class="num">error</th></tr></thead>
                <tbody>{items.map((one) => <tr key={one.component + one.node_class}><th scope="row">{one.component}</th><td>{one.node_class}</td><td class="num">{one.runs}</td><td class="num">{percent(one.coverage)}</td><td class="num">{percent(one.median_error)}</td></tr>)}</tbody>
              </table></div>)}</Limited></div>
          </div>
          {forecasts.some(isJudged) && <div class="scroll" tabIndex={0} role="region" aria-label="Foretold starts and ends"><table>
            <thead><tr><th scope="col">foretold</th><th scope="col">strategy</th><th scope="col" class="num">judged</th><th scope="col" class="num">in band</th></tr></thead>
            <tbody>{forecasts.filter(isJudged).map((one) => <tr key={one.kind + one.strategy}><th scope="row">{KINDS[one.kind] ?? one.kind}</th><td>{one.strategy}</td><td class="num">{one.asked}</td><td class="num">{one.coverage === null ? "–" : percent(one.coverage)}</td></tr>)}</tbody>
          </table></div>}
        </>)}
      </Shown>
    </Card>
  );
}
