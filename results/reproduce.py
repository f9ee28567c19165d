"""Reproduces the original paper's comparison in the simulator, and adds ours: tables for results/original.md.

    python results/reproduce.py            # prints the page
    python results/reproduce.py --write    # and writes it

Every figure comes from the shipped scenarios original-a and original-b; nothing is kept but this page.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean

from server.domain.states import Binding
from server.simulation.engine import simulate
from server.simulation.reading import CaseMaker, find_scenario, read_scenario
from server.simulation.report import Measures, measures
from server.simulation.scenario import ServerTable

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
    "random_random",
    "fifo_random",
    "fifo_round_robin",
    "fifo_greedy",
    "server.simulation.original_custom:OriginalCustom",
    "custom",
    "kubernetes",
    "srpt_eft",
    "online",
)
RULES = {
    "reserved": {
        "reservation": "pipeline",
        "release": "run",
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
    return "\n".join(parts) + "\n" + TAIL


def compared(name: str) -> list[str]:
    """Published against simulated, server by server."""
    maker = _maker(name)
    lines = [
        "| server | total, published | total, simulated | off | mean wait, published | simulated | off | turnaround |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for server in maker.scenario.server:
        found = _measured(maker, server)
        total = mean(one.execution_span if server.reservation == "pipeline" else one.makespan for one in found)
        wait = mean(one.waiting.mean for one in found)
        known = PUBLISHED[name].get(server.name or "", (None, None))
        cells = (server.name, *_against(known[0], total), *_against(known[1], wait))
        lines.append("| " + " | ".join(map(str, cells)) + f" | {mean(one.turnaround.mean for one in found):.1f} |")
    return lines


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


def _maker(name: str) -> CaseMaker:
    path = find_scenario(name)
    return CaseMaker(path, read_scenario(path))


def _measured(maker: CaseMaker, server: ServerTable) -> list[Measures]:
    seeds = maker.scenario.seeds if "random" in server.placer or server.placer == "kubernetes" else (0,)
    return [measures(simulate(maker.case(server, seed))) for seed in seeds]


def _cell(found: list[Measures]) -> str:
    return (
        f"{mean(one.makespan for one in found):.0f} / {mean(one.waiting.mean for one in found):.0f}"
        f" / {mean(one.turnaround.mean for one in found):.0f}"
    )


def _against(published: float | None, simulated: float) -> tuple[str, str, str]:
    if published is None:
        return "", f"{simulated:.1f}", ""
    return f"{published:.1f}", f"{simulated:.1f}", f"{100 * (simulated / published - 1):+.0f} %"


TITLES = {"original-a": "Experiment A: ten pipelines at once", "original-b": "Experiment B: three submissions of six"}
HEAD = """# The original's experiments, simulated

Written by `python results/reproduce.py --write`. Seconds. What is published, and what is fitted to it, stands in
`server/simulation/workloads/original.py`; the rules of every server in `server/simulation/scenarios/original-*.toml`.

"Their rules": a pipeline starts when all its nodes are free and has them for itself alone to its end; new pipelines
are kept for a window. Their total counts from the first start, ours from the first submission. Random strategies are
means over the five seeds that the paper used; its round robin and its own strategy were run once."""
TAIL = """
Cells of the ablation: makespan / mean waiting time / mean turnaround time.

## What to make of it

- What each baseline may do: under "their rules" all strategies reserve. Kubernetes never reserves; the paper's
  baseline had no way to ask for a GPU, the second Kubernetes row has. Nodes are shared in all other rows, and no
  window is needed. Tasks on one node do not slow each other down here: the paper's Kubernetes runs, with ten pipelines
  at once, show no slowdown, but they do not prove that there is none.
- The largest single gain over the paper's result is to drop the reservation, which Kubernetes never had. With GPU
  requests the default scheduler is as good as any strategy here: the cluster is nearly empty.
- Random strategies are judged by more seeds than five. Over 60 seeds (means, with the interval in which 95 % of means of
  five runs fall), experiment A: random_random ends after 964 s (753 to 1175) and waits 304 s (209 to 399), fifo_random
  960 s (744 to 1176) and 313 s (220 to 406). All four published figures lie inside; the means are 8 to 12 % above the
  published totals and 11 and 24 % above the published waits. The model has the same mean for both orders, so one of the
  two published waits (245 and 282 s) is off by luck. Experiment B was published with one seed: 1655 and 1810 s, against
  1755 s (standard deviations 211 and 228 s) in the model, 6 and 3 % off.
- B's own pipelines have no published run times. With the times assumed here, the original's strategy would end B about
  20 % sooner than the paper's 813 s; we found no reading of its rules under which its last window queues for 150 s.
"""


if __name__ == "__main__":
    text = page()
    print(text)
    if "--write" in sys.argv:
        Path(__file__).with_name("original.md").write_text(text)
