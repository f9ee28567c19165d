// Addresses after the #: /runs/ID/graph?task=a. The browser's own history does the rest.

import { useEffect, useState } from "preact/hooks";

export interface Route { parts: string[]; query: URLSearchParams; text: string }

function read(): Route {
  const text = location.hash.replace(/^#/, "") || "/";
  const [path, query] = text.split("?", 2);
  return { parts: path.split("/").filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query ?? ""), text };
}

export function useRoute(): Route {
  const [route, set] = useState(read);
  useEffect(() => {
    const changed = (): void => set(read());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}

export function link(parts: string[], query: Record<string, string | null | undefined> = {}): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const tail = given.length ? `?${new URLSearchParams(given)}` : "";
  return `#/${parts.map(encodeURIComponent).join("/")}${tail}`;
}

export function replaceQuery(route: Route, changes: Record<string, string | null>): void {
  const query = Object.fromEntries(route.query);
  history.replaceState(null, "", link(route.parts, { ...query, ...changes }));
  dispatchEvent(new Event("hashchange"));
}
