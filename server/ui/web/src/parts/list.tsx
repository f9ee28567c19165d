// Tables of any length: only the rows in sight are in the page.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

/** `isExtra`: left out where there is not room for all, and the list is slim. */
export interface Column<T> { name: string; width: string; isHidden?: boolean; isNumber?: boolean; isExtra?: boolean; cell: (row: T, isSlim: boolean) => ComponentChildren; title?: (row: T) => string }

const ROOMY = 740; // pixels that a list needs for all of its columns
const MORE = 8; // rows drawn beyond the edges, so that scrolling shows no holes

/** Whether there is not room for all columns; drawn again only when that changes. */
function useSlim(): [{ current: HTMLDivElement | null }, boolean] {
  const frame = useRef<HTMLDivElement>(null);
  const [isSlim, set] = useState(window.innerWidth < ROOMY);
  useEffect(() => {
    if (!frame.current) return;
    const seen = new ResizeObserver(([entry]) => entry && set(entry.contentRect.width < ROOMY));
    seen.observe(frame.current);
    return () => seen.disconnect();
  }, []);
  return [frame, isSlim];
}

export function List<T>({ label, rows, columns, id, tall = 45, isChosen }: {
  label: string; rows: T[]; columns: Column<T>[]; id: (row: T) => string; tall?: number; isChosen?: (row: T) => boolean;
}): JSX.Element {
  const [frame, isSlim] = useSlim();
  const shownColumns = isSlim ? columns.filter((one) => !one.isExtra) : columns;
  const [first, setFirst] = useState(0);
  const height = Math.min(rows.length * tall, Math.max(window.innerHeight - 300, 300));
  const begin = Math.max(0, Math.min(first, rows.length - Math.ceil(height / tall)) - MORE);
  const shown = rows.slice(begin, begin + Math.ceil(height / tall) + 3 * MORE);
  const template = { gridTemplateColumns: shownColumns.map((one) => one.width).join(" ") };
  const scrolled = (top: number): void => setFirst(Math.floor(top / tall / MORE) * MORE);
  return (
    <div role="table" aria-label={label} aria-rowcount={rows.length + 1} class={isSlim ? "list slim" : "list"} ref={frame}>
      <div role="row" class="list-head" aria-rowindex={1} style={template}>
        {shownColumns.map((one) => <span key={one.name} role="columnheader" class={one.isNumber ? "num" : ""}>{one.isHidden ? <span class="hidden">{one.name}</span> : one.name}</span>)}
      </div>
      <div class="list-body" tabIndex={0} role="rowgroup" style={{ height: `${height}px` }} onScroll={(event) => scrolled(event.currentTarget.scrollTop)}>
        <div role="presentation" style={{ height: `${rows.length * tall}px`, position: "relative" }}>
          {shown.map((row, index) => (
            <div role="row" class={`list-row${isChosen?.(row) ? " chosen" : ""}`} key={id(row)} aria-rowindex={begin + index + 2} style={{ ...template, top: `${(begin + index) * tall}px`, height: `${tall}px` }}>
              {shownColumns.map((one) => <span key={one.name} role="cell" class={one.isNumber ? "num" : ""} title={one.title?.(row)}>{one.cell(row, isSlim)}</span>)}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}
