// Talks to the server: JSON, the token if one is wanted, and errors as the sentences the server says.

export interface Band { p10: string; p50: string; p90: string }
export interface Run {
  id: string; name: string; state: string; project: string; priority: number; submitted_at: string;
  started_at: string | null; finished_at: string | null; waiting_seconds: number | null;
  execution_seconds: number | null; turnaround_seconds: number | null; error: string; retry_of: string | null;
  ends?: Band | null;
}
export interface Attempt {
  number: number; state: string; node: string | null; actual_node: string | null; option: string | null;
  ready_at: string | null; placed_at: string | null; queued_at: string | null; scheduled_at: string | null; started_at: string | null; inputs_at: string | null;
  finished_at: string | null; run_seconds: number | null; planned_start_at: string | null;
  planned_finish_at: string | null; peak_memory_bytes: number | null;
  error: { kind: string; message: string; traceback: string; hint: string } | null;
}
export interface Artifact { type: string; uri: string; size_bytes: number | null; digest: string | null; metadata: Record<string, unknown> }
export interface Output { value?: unknown; artifact?: Artifact }
export interface Task {
  key: string; path: string; iteration: number[]; component: string; state: string; reason: string; hold: string;
  from_cache: boolean; node: string | null; option: string | null; attempt: number; attempts: Attempt[];
  outputs: Record<string, Output>;
}
export interface Scope { kind: string; parent?: string | null; pipeline?: string }
export interface Detail extends Run {
  description: string; parameters: Record<string, unknown>; labels: Record<string, string>; deadline_at: string | null;
  binding: string; problems: string[]; exit_task: string | null; tasks: Task[]; replaced_by: string | null;
  offer: { at: string; nodes: Record<string, string>; reason: string; doubts: string[] } | null;
  graph: { tasks: Record<string, { component: string; waits_for: string[]; scope: string | null }>; scopes: Record<string, Scope> };
}
export interface Waiting { kind: string; text: string; tasks: string[]; nodes: string[] }
export interface Hindsight {
  predicted_p10: number; predicted_p50: number; predicted_p90: number; actual_seconds: number;
  is_inside_band: boolean; best_node: string | null; regret_seconds: number | null;
}
export interface TaskLine {
  task: string; state: string; sentence: string; why?: string; node: string | null; planned_node: string | null; position: number | null;
  waiting: Waiting | null; starts: Band | null; ends: Band | null; hindsight: Hindsight | null; warnings: string[];
}
export interface Explained {
  run_id: string; name: string; state: string; sentence: string; position: number | null; ends: Band | null;
  why_no_eta: string; assumes: string; actions: { text: string; command: string | null }[]; strategy: string; snapshot_age_seconds: number; counts: Record<string, number>; tasks: TaskLine[];
  warnings: string[]; preparing?: string;
}
export interface Candidate {
  node: string; option: string; is_chosen: boolean; is_free: boolean; score: number | null; start_seconds: number | null;
  seconds_p10: number; seconds_p50: number; seconds_p90: number; finish_seconds: number | null; later_by_seconds: number | null;
}
export interface Verdict {
  node: string; verdict: string; kind: string; reason: string; option: string | null;
  missing: { request: string; asks: number; has: number }[];
  seconds_p10: number | null; seconds_p50: number | null; seconds_p90: number | null;
}
export interface Evidence {
  id: string; at: string; cycle: number; strategy: string; strategy_version: string; reason: string; node: string | null;
  snapshot_age_seconds: number; runner_up: string | null; margin_seconds: number | null; fallback_from: string | null;
  estimate: { p10: number; p50: number; p90: number; source: string } | null; candidates: Candidate[];
  rejected: { reason: string; count: number; nodes: string[] }[];
}
export interface TaskExplained extends TaskLine {
  actions: { text: string; command: string | null }[]; nodes: Verdict[]; decision: Evidence | null;
}
export interface Amounts { cpu_millicores: number; memory_bytes: number; accelerators: Record<string, number>; pods: number }
export interface NodeView {
  name: string; is_ready: boolean; is_schedulable: boolean; is_virtual: boolean; speed: number;
  labels: Record<string, string>; taints: { key: string; value: string; effect: string }[];
  allocatable: Amounts; allocated: Amounts; available: Amounts;
  load: { cpu_fraction: number | null; memory_fraction: number | null; measured_at: string; source: string } | null;
  profile: Record<string, number>; running: { run_id: string; task: string }[]; assignments: number; price_per_hour: number | null;
}
export interface QueueEntry {
  position: number; run_id: string; run_name: string; task: string; state: string; hold: string; waiting_seconds: number;
  priority: number; project: string; submitted_at: string; starts: Band | null; ends: Band | null; planned_node: string | null;
  waiting: Waiting | null;
}
export interface Stretch {
  run_id: string; name: string; task: string; node: string; state: string; started_at: string | null;
  ended_at: string | null; planned_start_at: string | null; planned_finish_at: string | null; ends: Band | null;
}
export interface PlanBar {
  run_id: string; name: string; task: string; node: string; is_new: boolean; is_running: boolean;
  is_from_history: boolean; starts: Band; ends: Band;
}
export interface PlanOutcome {
  strategy: string; objective: string; ends: Band | null; waiting_seconds: number | null; turnaround_seconds: number | null;
  turnaround_p10_seconds: number | null; turnaround_p90_seconds: number | null; makespan_seconds: number;
  bytes_moved: number | null; cost: number | null;
}
export interface Plan extends PlanOutcome {
  sentence: string; at: string; subject: string | null; assumptions: string[]; unchanged: PlanOutcome | null;
  bottleneck: string; critical_path: { run_id: string; task: string; node: string; start_seconds: number; finish_seconds: number; why: string }[];
  bars: PlanBar[]; bars_left_out: number; unplaced: { run_id: string; task: string; reason: string }[];
  runs: { run_id: string; name: string; ends: Band; delay_seconds: number | null }[];
}
export interface Placer { name: string; summary: string; source: string; version: string; is_default: boolean; is_current: boolean }
export interface RunEvent { id: number; run_id: string; kind: string; at: string; task: string | null; attempt: number | null; data: Record<string, unknown> }

const TOKEN = "mlopx-token";

export class Problem extends Error {
  constructor(message: string, readonly status: number, readonly hint: string | null = null, readonly details: string[] = []) {
    super(message);
  }
}

export const token = (): string | null => localStorage.getItem(TOKEN);

export function setToken(text: string): void {
  if (text) localStorage.setItem(TOKEN, text);
  else localStorage.removeItem(TOKEN);
}

export function headers(more: Record<string, string> = {}): Record<string, string> {
  const known = token();
  return known ? { ...more, Authorization: `Bearer ${known}` } : more;
}

/** JSON from the server. Throws a Problem: with status 0 when nobody answers. */
export async function call<T>(path: string, body?: unknown): Promise<T> {
  const init: RequestInit = body === undefined
    ? { headers: headers() }
    : { method: "POST", headers: headers({ "Content-Type": "application/json" }), body: JSON.stringify(body) };
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch {
    throw new Problem("The server does not answer.", 0, "It may be restarting; this page tries again by itself.");
  }
  if (answer.ok) return answer.json() as Promise<T>;
  const found = await answer.json().catch(() => ({}));
  throw new Problem(found.detail ?? `The server answered ${answer.status}.`, answer.status, found.hint, found.details ?? []);
}

export const runPath = (id: string): string => `/api/v1/runs/${encodeURIComponent(id)}`;
