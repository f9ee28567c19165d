"""Reproduces the original paper's comparison in the simulator, and adds ours: tables for results/original.md.

    python results/reproduce.py            # prints the page
    python results/reproduce.py --write    # and writes it, here and into the notebook

Every figure comes from the shipped scenarios original-a, original-b and online; nothing is kept but this page.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, pstdev

from server.domain.states import Binding
from server.simulation.engine import simulate
from server.simulation.reading import CaseMaker, find_scenario, read_scenario
from server.simulation.report import Measures, measures
from server.simulation.scenario import ServerTable

MANY = 60
"""Seeds of the random strategies."""
DRAWS, RUNS_PUBLISHED = 2000, {"original-a": 5, "original-b": 1}
"""Means drawn to say where a published mean of so many runs lies."""

PUBLISHED = {
    "original-a": {
        "random_random, their rules": (859.4, 245.5),
        "fifo_random, their rules": (890.8, 281.9),
        "fifo_round_robin, their rules": (859.0, 258.1),
        "its custom, their rules": (285.0, 54.3),
        "kubernetes, no GPU requests": (404.2, None),
    },
    "original-b": {
        "random_random, their rules": (1655.0, None),
        "fifo_random, their rules": (1810.0, None),
        "fifo_round_robin, their rules": (1405.0, None),
        "its custom, their rules": (813.0, None),
    },
}
PLACERS = (
    "server.simulation.original_baselines:OriginalRandomRandom",
    "random_random",
    "server.simulation.original_baselines:OriginalFifoRandom",
    "fifo_random",
    "server.simulation.original_baselines:OriginalRoundRobin",
    "fifo_round_robin",
    "fifo_greedy",
    "server.simulation.original_custom:OriginalCustom",
    "custom",
    "kubernetes",
    "srpt_eft",
    "online",
)
QUEUEING = (
    "random_random",
    "fifo_random",
    "fifo_round_robin",
    "fifo_greedy",
    "kubernetes",
    "custom",
    "heft",
    "min_min",
    "max_min",
    "sufferage",
    "las_eft",
    "sjf_eft",
    "srpt_eft",
    "online",
)
"""Strategies compared where pipelines queue: the seed's and Kubernetes', then those that choose nodes by finish."""
RULES = {
    "reserved": {
        "reservation": "pipeline",
        "release": "next",
        "window_seconds": 15,
        "window_offset_seconds": 12,
        "poll_seconds": 5,
    },
    "bound at submission, shared": {"binding": Binding.AT_SUBMISSION},
    "bound when ready, shared": {},
}


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name in PUBLISHED:
        parts += ["", f"## {TITLES[name]}", "", *compared(name)]
    parts += ["", "## Ablation on experiment A", "", *ablation("original-a")]
    parts += ["", "Cells: makespan / mean waiting time / mean turnaround time.", ""]
    parts += ["## Ablation where pipelines queue", "", *queueing("online")]
    return "\n".join(parts) + "\n" + TAIL


def compared(name: str) -> list[str]:
    """Published against simulated, server by server."""
    maker = _maker(name)
    lines = [
        "| server | total, published | total, simulated | off | mean wait, published | simulated | off | turnaround |",
        "|---|---|---|---|---|---|---|---|",
    ]
    places = []
    for server in maker.scenario.server:
        found = _measured(maker, server, range(MANY) if _is_random(server.placer) else None)
        totals = [one.execution_span if server.reservation == "pipeline" else one.makespan for one in found]
        waits = [one.waiting.mean for one in found]
        known = PUBLISHED[name].get(server.name or "", (None, None))
        cells = (server.name, *_against(known[0], mean(totals)), *_against(known[1], mean(waits)))
        lines.append("| " + " | ".join(map(str, cells)) + f" | {mean(one.turnaround.mean for one in found):.1f} |")
        if len(found) == MANY:
            places += _places(server.name or "", known, totals, waits, RUNS_PUBLISHED[name])
    return [*lines, "", *places]


def _places(
    name: str, known: tuple[float | None, float | None], totals: list[float], waits: list[float], runs: int
) -> list[str]:
    """Where a published mean of so many runs lies among such means of the model."""
    luck = random.Random(0)
    found = []
    for what, published, values in zip(("total", "wait"), known, (totals, waits), strict=True):
        if published is not None:
            means = [mean(luck.sample(values, runs)) for _ in range(DRAWS)]
            below = 100 * mean(one < published for one in means)
            found.append(
                f"- {name}: the published {what} of {published:.0f} s lies at the {below:.0f}th percentile of the "
                f"model's {'means of five runs' if runs > 1 else 'single runs'} (its mean {mean(values):.0f} s, standard "
                f"deviation of a run {pstdev(values):.0f} s)."
            )
    return found


def ablation(name: str) -> list[str]:
    """Makespan / mean wait / mean turnaround of every strategy under every rule."""
    maker = _maker(name)
    lines = ["| strategy | " + " | ".join(RULES) + " |", "|---|" + "---|" * len(RULES)]
    for placer in PLACERS:
        cells = []
        for rule in RULES.values():
            is_partial = placer == "kubernetes" and rule
            cells.append("-" if is_partial else _cell(_measured(maker, ServerTable(placer=placer, **rule))))
        lines.append(f"| {placer.rpartition(':')[2]} | " + " | ".join(cells) + " |")
    return lines


def queueing(name: str) -> list[str]:
    """Mean and 95th percentile of turnaround of every strategy, its pipelines bound at submission or task by task."""
    maker = _maker(name)
    lines = ["| strategy | bound at submission | bound when ready |", "|---|---|---|"]
    for placer in QUEUEING:
        cells = []
        for binding in (Binding.AT_SUBMISSION, Binding.WHEN_READY):
            is_partial = placer == "kubernetes" and binding is Binding.AT_SUBMISSION
            server = ServerTable(placer=placer, binding=binding)
            cells.append("-" if is_partial else _turnaround(_measured(maker, server)))
        lines.append(f"| {placer} | " + " | ".join(cells) + " |")
    return lines


def _maker(name: str) -> CaseMaker:
    path = find_scenario(name)
    return CaseMaker(path, read_scenario(path))


def _is_random(placer: str) -> bool:
    return placer.endswith("Random") or placer.endswith("_random")


def _measured(maker: CaseMaker, server: ServerTable, numbers: Iterable[int] | None = None) -> list[Measures]:
    is_drawn = _is_random(server.placer) or server.placer == "kubernetes"
    seeds = numbers or (maker.scenario.seeds if is_drawn else (0,))
    return [measures(simulate(maker.case(server, seed))) for seed in seeds]


def _cell(found: list[Measures]) -> str:
    return (
        f"{mean(one.makespan for one in found):.0f} / {mean(one.waiting.mean for one in found):.0f}"
        f" / {mean(one.turnaround.mean for one in found):.0f}"
    )


def _turnaround(found: list[Measures]) -> str:
    return f"{mean(one.turnaround.mean for one in found):.0f} / {mean(one.turnaround.p95 for one in found):.0f}"


def write(text: str) -> None:
    """Keep the page, and as what the notebook answered."""
    Path(__file__).with_name("original.md").write_text(text)
    path = Path(__file__).with_name("original.ipynb")
    notebook = json.loads(path.read_text())
    (answer,) = next(cell for cell in notebook["cells"] if cell["id"] == "run")["outputs"]
    answer["data"]["text/markdown"] = text.splitlines(keepends=True)
    path.write_text(json.dumps(notebook, indent=1) + "\n")


def _against(published: float | None, simulated: float) -> tuple[str, str, str]:
    if published is None:
        return "", f"{simulated:.1f}", ""
    return f"{published:.1f}", f"{simulated:.1f}", f"{100 * (simulated / published - 1):+.0f} %"


TITLES = {"original-a": "Experiment A: ten pipelines at once", "original-b": "Experiment B: three submissions of six"}
HEAD = """# The original's experiments, simulated

Written by `python results/reproduce.py --write`. Seconds. What is published, and what is fitted to it, stands in
`server/simulation/workloads/original.py`; the rules of every server in `server/simulation/scenarios/original-*.toml`.

"Their rules": a pipeline starts when all its nodes are free and has them for itself alone, each until the task after the
one on it has ended; new pipelines are kept for a window. Their total counts from the first start, ours from the first
submission. Rows of random strategies are means over sixty seeds; the paper has means of five runs in A, and one run in B.
Its round robin and its own strategy were run once."""
TAIL = """
The scenario `online`: 300 pipelines on 16 nodes of four speeds, one task at a time on each, at 95 % load. Cells: mean /
95th percentile of turnaround time.

## What to make of it

- What each baseline may do: under "their rules" all strategies reserve. Kubernetes never reserves; the paper's
  baseline had no way to ask for a GPU, the second Kubernetes row has. Nodes are shared in all other rows, and no
  window is needed. Tasks on one node do not slow each other down here: the paper's Kubernetes runs, with ten pipelines
  at once, show no slowdown, but they do not prove that there is none.
- The largest single gain over the paper's result is to drop the reservation, which Kubernetes never had. With GPU
  requests the default scheduler is as good as any strategy here: the cluster is nearly empty.
- Where pipelines queue and are bound at submission, what counts is to choose nodes by when tasks end there (from 1,500 s
  and more to 503 to 548 s), whatever the order. Bound when ready, the order counts as much (826 to 376 s); `online`, which
  searches it, takes 278 s, a third of Kubernetes' 873 s.
- What was read off the published figures, beside the times: (1) the original goes pipeline by pipeline and takes nodes as
  if they were empty, so its baselines are modelled apart (`server/simulation/original_baselines.py`); the strategies of
  the same names here look at ready tasks first. (2) A node is given back when the task after the one on it has ended:
  only so does its round robin's KDD RF start (491 s) before CIFAR, which has its first node, ends (530 s). (3) CIFAR
  needs 2.9 GB, and one node has less: only with one node passed over do the same pipelines wait for each other as
  published. Adult DT and KDD SVM change places against the published run; a few seconds decide which of them is first.
- (4) Its own strategy counts assignments over the server's life, and never takes them back. Where only open tasks
  count, B ended at 652 s in each of forty orders of the nodes' (unpublished) memories, for nothing ever queued (the
  nodes then still listed in another order; two orders were checked with the present list); where all
  count, at 670 to 810 s, against the published 813 s. That it counts so is inferred, not published. One detail does not
  fit: the paper's queue was empty before each next submission, ours was in 17 of the forty, and is not in the row above.
- B's own pipelines have no published run times; theirs are assumed.
"""


if __name__ == "__main__":
    text = page()
    print(text)
    if "--write" in sys.argv:
        write(text)
