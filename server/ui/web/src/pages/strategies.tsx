import type { JSX } from "preact";
import type { Placer } from "../api";
import { useQuery } from "../live";
import { Card, Copy, Shown } from "../parts/basics";

export function Strategies(): JSX.Element {
  const found = useQuery<{ placers: Placer[] }>("/api/v1/placers?all=true");
  return (
    <>
      <h1>Strategies</h1>
      <p class="lead">A strategy orders the waiting work and gives each task its node. The setting <code>PLACER</code> chooses one; <a href="#/plan">what if</a> tries another on the live queue.</p>
      <Card wide><Shown query={found}>{({ placers }) => (
        <ul class="rows">{placers.map((one) => (
          <li key={one.name}><div class="grow"><strong>{one.name}</strong> <span class="quiet">version {one.version}</span> {one.is_current && <span class="verdict v-free">in use</span>} {one.is_default && !one.is_current && <span class="verdict v-not-there-yet">default</span>}
            <div>{one.summary}</div><div class="quiet">{one.source}</div></div>{!one.is_current && <Copy text={`mlopx plan --strategy ${one.name}`} />}</li>))}</ul>)}
      </Shown></Card>
    </>
  );
}
