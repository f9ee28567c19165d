import "./styles.css";
import { type JSX, render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { call, Problem, setToken } from "./api";
import { stayConnected, useConnection } from "./live";
import { Compare } from "./pages/compare";
import { Decision } from "./pages/decision";
import { Nodes } from "./pages/nodes";
import { Overview } from "./pages/overview";
import { PlanPage } from "./pages/plan";
import { RunPage } from "./pages/run";
import { Runs } from "./pages/runs";
import { Strategies } from "./pages/strategies";
import { type Route, useRoute } from "./route";

const PLACES: [string, string, string][] = [["", "Overview", "◫"], ["runs", "Runs", "≡"], ["nodes", "Nodes", "▤"], ["plan", "What if", "⇥"], ["strategies", "Strategies", "⚖"], ["compare", "Compare", "⇆"]];
const THEMES = ["auto", "light", "dark"];

function Page({ route }: { route: Route }): JSX.Element {
  const [first, id, third, fourth] = route.parts;
  if (!first) return <Overview />;
  if (first === "runs" && id && third === "tasks" && fourth) return <Decision key={route.parts.join("/")} route={route} />;
  if (first === "runs" && id) return <RunPage key={id} route={route} />;
  if (first === "runs") return <Runs route={route} />;
  if (first === "nodes") return <Nodes />;
  if (first === "plan") return <PlanPage key={route.query.toString()} route={route} />;
  if (first === "strategies") return <Strategies />;
  if (first === "compare") return <Compare route={route} />;
  return <><h1>Nothing here</h1><p>There is no such page. <a href="#/">Go to the overview.</a></p></>;
}

function App(): JSX.Element {
  const route = useRoute();
  const [theme, setTheme] = useState(localStorage.getItem("mlopx-theme") ?? "auto");
  const [locked, lock] = useState(false);
  const main = useRef<HTMLElement>(null);
  const page = route.parts.join("/");
  const before = useRef(page);
  useEffect(() => { document.documentElement.dataset.theme = theme; localStorage.setItem("mlopx-theme", theme); }, [theme]);
  useEffect(() => { void call("/version").catch((error: Problem) => lock(error.status === 401)); }, []);
  useEffect(() => {
    const where = PLACES.find(([name]) => name === (route.parts[0] ?? ""))?.[1] ?? "";
    document.title = `${route.parts[3] ?? route.parts[1] ?? where} · MLOpX`;
    const [was, is] = [before.current, page].map((one) => one.split("/").slice(0, 2).join("/"));
    if (was !== is) { main.current?.focus({ preventScroll: true }); scrollTo(0, 0); }
    before.current = page;
  }, [page]);
  if (locked) return <Locked />;
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>Skip to the content</a>
      <div class="shell">
        <nav class="side-nav" aria-label="Pages">
          <a class="brand" href="#/"><svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true"><rect width="32" height="32" rx="8" fill="currentColor" /><rect x="6" y="8" width="12" height="4" rx="2" fill="#fff" /><rect x="12" y="14" width="14" height="4" rx="2" fill="#c7d2fe" /><rect x="8" y="20" width="9" height="4" rx="2" fill="#fff" /></svg><span>MLOpX</span></a>
          {PLACES.map(([name, label, sign]) => <a key={name} href={`#/${name}`} aria-current={(route.parts[0] ?? "") === name ? "page" : undefined}><span aria-hidden="true" class="nav-sign">{sign}</span><span>{label}</span></a>)}
          <span class="grow" />
          <Connected />
          <label class="theme"><span class="hidden">Colours</span><select value={theme} onChange={(event) => setTheme(event.currentTarget.value)}>{THEMES.map((one) => <option key={one} value={one}>{one === "auto" ? "system colours" : one}</option>)}</select></label>
        </nav>
        <main id="main" tabIndex={-1} ref={main}><Page route={route} /></main>
      </div>
    </>
  );
}

function Connected(): JSX.Element {
  const state = useConnection();
  const [isLong, setLong] = useState(false);
  useEffect(() => {
    setLong(false);
    if (state !== "lost") return;
    const timer = setTimeout(() => setLong(true), 1500);
    return () => clearTimeout(timer);
  }, [state]);
  return (
    <>
      <span class={`connection ${state}`} role="status"><span class="dot" aria-hidden="true" /> {state === "live" ? "live" : state === "lost" ? "reconnecting" : "connecting"}</span>
      {isLong && <div class="banner" role="alert">The server does not answer. What you see is from before; it is brought up to date as soon as the server is back.</div>}
    </>
  );
}

function Locked(): JSX.Element {
  const [text, set] = useState("");
  return (
    <main class="locked">
      <h1>MLOpX</h1>
      <p>This server wants a token: the value of its setting <code>MLOPX_TOKEN</code>. It is kept in this browser only.</p>
      <form class="form" onSubmit={(event) => { event.preventDefault(); setToken(text.trim()); location.reload(); }}>
        <label class="field"><span>Token</span><input type="password" value={text} autocomplete="off" onInput={(event) => set(event.currentTarget.value)} /></label>
        <button class="primary" type="submit">Open</button>
      </form>
    </main>
  );
}

void stayConnected();
render(<App />, document.getElementById("app") as HTMLElement);
