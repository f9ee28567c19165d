// The layout of a graph, worked out in a Web Worker so that the page stays quick whatever the size.

import { Graph, layout } from "@dagrejs/dagre";

export interface LayoutOrder { serial: number; nodes: { id: string; width: number; height: number }[]; edges: [string, string][] }
export interface Place { x: number; y: number; width: number; height: number }
export interface LayoutAnswer {
  serial: number; width: number; height: number; nodes: Record<string, Place>;
  edges: { from: string; to: string; points: { x: number; y: number }[] }[];
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
  const edges = graph.edges().map((edge) => ({ from: edge.v, to: edge.w, points: (graph.edge(edge) as { points: { x: number; y: number }[] }).points }));
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  self.postMessage({ serial: data.serial, width, height, nodes, edges } satisfies LayoutAnswer);
};
