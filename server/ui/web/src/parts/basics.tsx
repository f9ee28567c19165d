// Small parts that every page uses: states, cards, empty and broken states, tables.

import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import type { Problem } from "../api";
import type { Query } from "../live";
import { SIGNS } from "../words";

export function State({ name }: { name: string }): JSX.Element {
  return <span class={`state s-${name}`}><span aria-hidden="true">{SIGNS[name] ?? "•"}</span> {name}</span>;
}

export function Card({ title, label, children, aside, wide }: {
  title?: string; label?: string; children: ComponentChildren; aside?: ComponentChildren; wide?: boolean;
}): JSX.Element {
  return (
    <section class={wide ? "card wide" : "card"} aria-label={title ?? label}>
      {title && <header class="card-head"><h2>{title}</h2>{aside && <div class="aside">{aside}</div>}</header>}
      {children}
    </section>
  );
}

export function Empty({ children }: { children: ComponentChildren }): JSX.Element {
  return <div class="empty">{children}</div>;
}

export function Loading(): JSX.Element {
  return <div class="loading" role="status"><span class="bar" /><span class="bar" /><span class="bar" /><span class="hidden">Loading</span></div>;
}

export function Broken({ problem, retry }: { problem: Problem; retry?: () => void }): JSX.Element {
  return (
    <div class="broken" role="alert">
      <strong>{problem.message}</strong>
      {problem.details.map((line) => <div key={line}>{line}</div>)}
      {problem.hint && <div class="quiet">{problem.hint}</div>}
      {retry && <button type="button" class="small" onClick={retry}>Try again</button>}
    </div>
  );
}

/** Shows what a query found, and what goes on while it has not or could not; `name` is the page's heading until then, and
 * `away` leads on from a page that is not there. */
export function Shown<T>({ query, children, name, away }: { query: Query<T>; children: (data: T) => ComponentChildren; name?: string; away?: ComponentChildren }): JSX.Element {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  return <>{name && <h1>{name}</h1>}{query.problem ? <><Broken problem={query.problem} retry={query.refresh} />{query.problem.status === 404 && away && <p>{away}</p>}</> : <Loading />}</>;
}

/** One entry of a chart's legend. */
export function Key({ look, children }: { look: string; children: ComponentChildren }): JSX.Element {
  return <span class="entry"><span class={`key ${look}`} />{children}</span>;
}

/** What should be changed about a pipeline: one remark as it is, several folded. */
export function Remarks({ texts }: { texts: string[] }): JSX.Element | null {
  if (texts.length < 2) return <>{texts.map((text) => <p key={text} class="reason">{text}.</p>)}</>;
  return <details class="remarks"><summary>{texts.length} remarks on what its tasks ask for</summary><ul>{texts.map((text) => <li key={text} class="reason">{text}.</li>)}</ul></details>;
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }): JSX.Element {
  return <div class="fact"><dt>{name}</dt><dd>{children}</dd></div>;
}

export function Meter({ value, label, tone }: { value: number; label: string; tone?: string }): JSX.Element {
  const share = Math.max(0, Math.min(1, value));
  return <span class={`meter ${tone ?? ""}`} role="img" aria-label={`${label}: ${Math.round(share * 100)} %`}><span style={{ width: `${share * 100}%` }} /></span>;
}

/** The first of many, and the rest when asked for. */
export function Limited<T>({ items, most, children }: { items: T[]; most: number; children: (items: T[]) => ComponentChildren }): JSX.Element {
  const [isAll, setAll] = useState(false);
  return <>{children(isAll ? items : items.slice(0, most))}{items.length > most && !isAll && <button type="button" class="small" onClick={() => setAll(true)}>Show all {items.length}</button>}</>;
}

export function Copy({ text }: { text: string }): JSX.Element {
  const [said, say] = useState("Copy");
  const copy = (button: HTMLElement): void => {
    const done = navigator.clipboard ? navigator.clipboard.writeText(text) : Promise.reject(new Error("no clipboard without https"));
    done.then(() => say("Copied"), () => {
      getSelection()?.selectAllChildren(button.previousElementSibling as Element);
      say("Selected");
    }).finally(() => setTimeout(() => say("Copy"), 1500));
  };
  return <span class="command"><code>{text}</code><button type="button" class="small" aria-label={`Copy: ${text}`} onClick={(event) => copy(event.currentTarget)}>{said}</button></span>;
}
