import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { call, type Run } from "../api";
import { useEvents, useNow } from "../live";
import { Broken, Card, Empty, Loading, State } from "../parts/basics";
import { Schedules } from "../parts/schedules";
import { type Column, List } from "../parts/list";
import { link, replaceQuery, type Route } from "../route";
import type { Problem } from "../api";
import { ago, clock, expected, isOver, span } from "../words";

const STATES = ["waiting", "dispatched", "running", "succeeded", "failed", "cancelled"];
const PAGE = 500;
const MOST = 5000;

/** All runs that match, page by page, and the newest of them again when something happens. */
function useRuns(state: string | null): { runs: Run[] | null; problem: Problem | null; load: () => void } {
  const [runs, set] = useState<Run[] | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const box = useRef({ timer: 0, turn: 0 });
  const query = state ? `&state=${state}` : "";
  const load = async (): Promise<void> => {
    const turn = ++box.current.turn;
    try {
      let found: Run[] = [];
      let cursor: string | null = null;
      do {
        const page: { runs: Run[]; next: string | null } = await call(`/api/v1/runs?limit=${PAGE}${query}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
        found = found.concat(page.runs);
        cursor = page.next;
        if (turn !== box.current.turn) return;
        if (cursor && found.length === PAGE) set(found);
      } while (cursor && found.length < MOST);
      set(found);
      setProblem(null);
    } catch (error) {
      setProblem(error as Problem);
    }
  };
  const refresh = async (): Promise<void> => {
    const page: { runs: Run[] } | null = await call<{ runs: Run[] }>(`/api/v1/runs?limit=100${query}`).catch(() => null);
    if (page) set((old) => {
      const fresh = new Set(page.runs.map((run) => run.id));
      return [...page.runs, ...(old ?? []).filter((run) => !fresh.has(run.id) && (!state || run.state === state))];
    });
  };
  useEffect(() => { set(null); void load(); }, [state]);
  useEvents((event) => {
    if (event && !event.kind.startsWith("run-")) return;
    clearTimeout(box.current.timer);
    box.current.timer = window.setTimeout(() => void refresh(), 500);
  });
  return { runs, problem, load: () => void load() };
}

export function Runs({ route }: { route: Route }): JSX.Element {
  const state = route.query.get("state");
  const text = route.query.get("text") ?? "";
  const [chosen, choose] = useState<string[]>([]);
  const { runs, problem, load } = useRuns(state);
  const shown = (runs ?? []).filter((run) => !text || `${run.id} ${run.project}`.toLowerCase().includes(text.toLowerCase()));
  const pick = (id: string): void => choose(chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen.slice(-1), id]);
  return (
    <>
      <h1>Runs</h1>
      <Card wide>
        <div class="tools">
          <label class="field"><span>Find</span><input type="search" value={text} placeholder="name, id or project" onInput={(event) => replaceQuery(route, { text: event.currentTarget.value })} /></label>
          <label class="field"><span>State</span>
            <select value={state ?? ""} onChange={(event) => replaceQuery(route, { state: event.currentTarget.value })}>
              <option value="">all</option>{STATES.map((one) => <option key={one} value={one}>{one}</option>)}
            </select>
          </label>
          <span class="quiet grow" role="status">{runs ? `${shown.length} run${shown.length === 1 ? "" : "s"}` : ""}</span>
          {chosen.length === 2
            ? <a class="button" href={link(["compare"], { a: chosen[0], b: chosen[1] })}>Compare the two</a>
            : <span class="quiet">tick two runs to compare them</span>}
        </div>
        {problem && !runs ? <Broken problem={problem} retry={load} /> : !runs ? <Loading /> : shown.length === 0
          ? <Empty>{runs.length || state || text ? "No run matches." : "No runs yet."}</Empty>
          : <Found runs={shown} chosen={chosen} pick={pick} />}
      </Card>
      <Schedules />
    </>
  );
}

function Found({ runs, chosen, pick }: { runs: Run[]; chosen: string[]; pick: (id: string) => void }): JSX.Element {
  const now = useNow(5000);
  const done = (run: Run): JSX.Element => isOver(run.state) ? <span class="quiet">{ago(run.finished_at, now)}</span> : run.ends ? <strong>{expected(run.ends, now)}</strong> : <span class="quiet">not known yet</span>;
  const columns: Column<Run>[] = [
    { name: "compare", width: "34px", isHidden: true, cell: (run) => <input type="checkbox" aria-label={`Compare ${run.id}`} checked={chosen.includes(run.id)} onChange={() => pick(run.id)} /> },
    { name: "run", width: "minmax(120px, 3fr)", title: (run) => run.error || run.id, cell: (run) => <><a class="strong" href={link(["runs", run.id])}>{run.id}</a>{run.project !== "default" && <span class="quiet"> {run.project}</span>}{run.error && <span class="quiet"> {run.error}</span>}</> },
    { name: "state", width: "112px", cell: (run, isSlim) => <><State name={run.state} />{isSlim && <div class="reason">{done(run)}</div>}</> },
    { name: "submitted", width: "110px", isExtra: true, title: (run) => clock(run.submitted_at), cell: (run) => ago(run.submitted_at, now) },
    { name: "waited", width: "90px", isNumber: true, isExtra: true, cell: (run) => span(run.waiting_seconds ?? (isOver(run.state) ? null : (now - Date.parse(run.submitted_at)) / 1000)) },
    { name: "done", width: "150px", isNumber: true, isExtra: true, title: (run) => isOver(run.state) ? clock(run.finished_at) : run.ends ? `${clock(run.ends.p10)} to ${clock(run.ends.p90)}, in eight cases of ten` : "no end is predicted yet: its page says why", cell: done },
    { name: "turnaround", width: "120px", isNumber: true, isExtra: true, cell: (run) => run.turnaround_seconds === null ? <span class="quiet">{span((now - Date.parse(run.submitted_at)) / 1000)} so far</span> : span(run.turnaround_seconds) },
  ];
  return <List label="Runs" rows={runs} columns={columns} id={(run) => run.id} />;
}
