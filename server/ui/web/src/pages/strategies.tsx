import type { JSX } from "preact";
import type { Placer, Stretch } from "../api";
import { useQuery } from "../live";
import { Card, Empty, Fact, Limited, Shown } from "../parts/basics";
import { Scatter } from "../parts/scatter";
import { link } from "../route";

interface Quality { component: string; node_class: string; runs: number; coverage: number; median_error: number; p90_error: number; bias: number }
interface Calibration { runs: number; widening: number; overall: Quality | null; components: Quality[] }

const LATELY = 86_400;
const percent = (share: number): string => share > 9.99 ? "over 999 %" : `${Math.round(share * 100)} %`;

export function Strategies(): JSX.Element {
  const found = useQuery<{ placers: Placer[] }>("/api/v1/placers?all=true");
  return (
    <>
      <h1>Strategies</h1>
      <p class="lead">A strategy orders the waiting work and gives each task its node. The setting <code>PLACER</code> chooses one.</p>
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

/** How good predictions of run times were: what strategies stand on. */
function Predictions(): JSX.Element {
  const calibration = useQuery<Calibration>("/api/v1/estimates/calibration", (event) => event.kind === "task-finished", 30);
  const lately = useQuery<{ stretches: Stretch[] }>(`/api/v1/timeline?seconds=${LATELY}`, (event) => event.kind === "task-finished", 30);
  return (
    <Card title="Predictions: how good they were" wide>
      <Shown query={calibration}>{({ runs, overall, components }) => !overall ? <Empty>Nothing was predicted yet: once tasks have run here, this shows predicted against actual run times.</Empty> : (
        <>
          <p class="sentence">{percent(overall.coverage)} of the last {overall.runs} run times were inside the predicted band, which is meant to hold 80 %; half of them were off by less than {percent(overall.median_error)}.</p>
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
        </>)}
      </Shown>
    </Card>
  );
}
