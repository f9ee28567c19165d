"""The original's own strategies: what sets them apart from the mended ones of the same names."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from server.domain.lifecycle import start_run
from server.domain.node import Node, Snapshot
from server.domain.placement import PlacementRequest
from server.domain.request import kubernetes_defaults, waiting_run
from server.domain.resources import Resources
from server.domain.run import RunOptions
from server.estimators.table import build_estimates
from server.placers.interface import PlacerInterface
from server.simulation.agenda import START
from server.simulation.original_baselines import OriginalFifoRandom, OriginalRandomRandom, OriginalRoundRobin
from server.simulation.original_custom import OriginalCustom
from server.simulation.told import Telling, ToldEstimator
from server.simulation.work import KIND_LABEL, TaskWork, Way, make_work

GIB = 2**30


def request(
    memory: tuple[int, ...] = (4, 4, 4), needs: tuple[int, ...] = (1, 1), history: Mapping[str, int] | None = None
) -> PlacementRequest:
    """Two chains of three tasks on nodes n0, n1, … with so many GiB; run r asks for `needs[r]` GiB."""
    nodes = tuple(
        Node(
            f"n{index}",
            Resources.of(cpu_millicores=1000, memory_bytes=size * GIB, pods=110),
            labels={KIND_LABEL: "any", "worker_type": "low"},
        )
        for index, size in enumerate(memory)
    )
    estimator = ToldEstimator(Telling(), extra_seconds=0, noise_sigma=0, seed=0)
    runs = []
    for number, need in enumerate(needs):
        chain = [TaskWork(f"t{k}", (Way({"any": 5.0}, 1000, need * GIB),), (k - 1,) if k else ()) for k in range(3)]
        work = make_work(f"p{number}", chain, kinds=["any"])
        estimator.know(work)
        run = start_run(f"r{number}", work.graph, parameters={}, options=RunOptions(), at=START).run
        runs.append(waiting_run(run, kubernetes_defaults))
    estimates = build_estimates(runs, nodes, estimator)
    return PlacementRequest(1, START, tuple(runs), Snapshot(START, nodes), estimates, history=history or {})


def nodes_of(placer: PlacerInterface, asked: PlacementRequest) -> list[str]:
    plan = placer.place(asked)
    assert not plan.holds
    return [placement.node for placement in plan.placements]


def test_round_robin_goes_pipeline_by_pipeline_and_on_from_the_last_window() -> None:
    assert nodes_of(OriginalRoundRobin(), request()) == ["n0", "n1", "n2", "n0", "n1", "n2"]
    assert nodes_of(OriginalRoundRobin(), request(history={"n0": 1}))[:3] == ["n1", "n2", "n0"]


def test_round_robin_passes_over_a_node_without_the_memory() -> None:
    assert nodes_of(OriginalRoundRobin(), request(memory=(1, 4, 4), needs=(2,))) == ["n1", "n2", "n1"]


@pytest.mark.parametrize("placer", [OriginalRandomRandom(), OriginalFifoRandom()])
def test_random_nodes_have_the_memory(placer: PlacerInterface) -> None:
    asked = request(memory=(1, 4, 1), needs=(2, 2))
    assert set(nodes_of(placer, asked)) == {"n1"}


def test_first_come_keeps_the_order_of_submission_and_any_order_does_not_for_ever() -> None:
    asked = request(needs=(1,) * 8)
    first = [placement.run_id for placement in OriginalFifoRandom().place(asked).placements[::3]]
    assert first == [f"r{number}" for number in range(8)]
    assert [placement.run_id for placement in OriginalRandomRandom().place(asked).placements[::3]] != first


def test_custom_never_takes_back_what_it_counted_as_assigned() -> None:
    """Its nodes are empty again, yet it avoids those that an earlier window used: why its experiment B queues."""
    assert nodes_of(OriginalCustom(), request(needs=(1,)))[0] == "n0"
    assert nodes_of(OriginalCustom(), request(needs=(1,), history={"n0": 1, "n1": 1}))[0] == "n2"
