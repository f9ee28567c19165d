// The layout of a graph, worked out in a Web Worker so that the page stays quick whatever the size.

import { Graph, layout } from "@dagrejs/dagre";

export interface LayoutOrder { serial: number; nodes: { id: string; width: number; height: number }[]; edges: [string, string][] }
export interface Place { x: number; y: number; width: number; height: number }
export interface LayoutAnswer {
  serial: number; width: number; height: number; nodes: Record<string, Place>;
  edges: { from: string; to: string; points: { x: number; y: number }[] }[];
}

/** Whether boxes of one column stand more often above than below those that were written before them. */
function isUpsideDown(places: Place[]): boolean {
  const last = new Map<number, number>();
  let sum = 0;
  for (const place of places) {
    const before = last.get(place.x);
    if (before !== undefined) sum += Math.sign(place.y - before);
    last.set(place.x, place.y);
  }
  return sum < 0;
}

self.onmessage = ({ data }: MessageEvent<LayoutOrder>) => {
  const graph = new Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 14, ranksep: 46, marginx: 12, marginy: 12 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of data.nodes) graph.setNode(node.id, { width: node.width, height: node.height });
  for (const [from, to] of data.edges) graph.setEdge(from, to);
  layout(graph);
  const nodes: Record<string, Place> = {};
  for (const id of graph.nodes()) nodes[id] = graph.node(id) as Place;
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  if (isUpsideDown(Object.values(nodes))) {
    for (const place of Object.values(nodes)) place.y = height - place.y;
    for (const edge of graph.edges()) for (const point of (graph.edge(edge) as { points: { x: number; y: number }[] }).points) point.y = height - point.y;
  }
  const edges = graph.edges().map((edge) => ({ from: edge.v, to: edge.w, points: (graph.edge(edge) as { points: { x: number; y: number }[] }).points }));
  self.postMessage({ serial: data.serial, width, height, nodes, edges } satisfies LayoutAnswer);
};
