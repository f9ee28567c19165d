// Small parts that every page uses: states, cards, empty and broken states, tables.

import type { ComponentChildren, JSX } from "preact";
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

/** Shows what a query found, and what goes on while it has not or could not. */
export function Shown<T>({ query, children }: { query: Query<T>; children: (data: T) => ComponentChildren }): JSX.Element {
  if (query.data === undefined) return query.problem ? <Broken problem={query.problem} retry={query.refresh} /> : <Loading />;
  return <>{children(query.data)}</>;
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }): JSX.Element {
  return <div class="fact"><dt>{name}</dt><dd>{children}</dd></div>;
}

export function Meter({ value, label, tone }: { value: number; label: string; tone?: string }): JSX.Element {
  const share = Math.max(0, Math.min(1, value));
  return (
    <svg class={`meter ${tone ?? ""}`} role="img" aria-label={`${label}: ${Math.round(share * 100)} %`} viewBox="0 0 100 6" preserveAspectRatio="none">
      <rect class="back" width="100" height="6" rx="3" /><rect class="front" width={share * 100} height="6" rx="3" />
    </svg>
  );
}

export function Copy({ text }: { text: string }): JSX.Element {
  return (
    <span class="command"><code>{text}</code>
      <button type="button" class="small" aria-label={`Copy: ${text}`} onClick={() => void navigator.clipboard?.writeText(text)}>Copy</button>
    </span>
  );
}
