"""What the simulator promises: time is virtual, a seed says all, and nothing is lost, whatever breaks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from server.domain.node import Node
from server.domain.resources import Resources
from server.domain.states import Binding
from server.simulation.engine import Case, Finished, Loss, StuckError, simulate
from server.simulation.machines import Machine
from server.simulation.rules import Rules
from server.simulation.told import Telling
from server.simulation.transfers import Wires
from server.simulation.work import KIND_LABEL, Arrival, TaskWork, Way, make_work
from server.simulation.world import Nature

ALL_RULES = {
    "when ready": Rules(placer="fifo_greedy"),
    "at submission": Rules(placer="fifo_greedy", binding=Binding.AT_SUBMISSION),
    "reserved": Rules(placer="fifo_random", reservation="pipeline", window_seconds=10, poll_seconds=5),
    "reserved, given back with the run": Rules(placer="custom", reservation="pipeline", release="run"),
}


@pytest.fixture(params=list(ALL_RULES))
def rules(request: pytest.FixtureRequest) -> Rules:
    return ALL_RULES[request.param]


def facts(finished: Finished) -> tuple[object, ...]:
    """All but what was measured on this machine."""
    return finished.runs, finished.tasks, finished.events, finished.cycles


def overlaps(finished: Finished) -> list[tuple[str, float]]:
    """Instants at which more than one task runs on a node of one CPU."""
    changes = [(task.node, at, step) for task in finished.tasks for at, step in _steps(task)]
    found, running = [], dict.fromkeys({node for node, _, _ in changes}, 0)
    for node, at, step in sorted(changes, key=lambda change: (change[1], change[2])):
        running[node] += step
        if running[node] > 1:
            found.append((node or "", at))
    return found


def _steps(task: Any) -> list[tuple[float, int]]:
    return [] if task.started_at is None else [(task.started_at, 1), (task.finished_at, -1)]


def test_every_run_ends_once_with_all_its_tasks(ground: Any, rules: Rules) -> None:
    finished = simulate(ground.case(rules))
    assert sorted(run.run_id for run in finished.runs) == sorted(f"r{index}" for index in range(8))
    assert {run.state for run in finished.runs} == {"succeeded"}
    assert len(finished.tasks) == 32
    assert all(task.state == "succeeded" for task in finished.tasks)


def test_a_task_takes_the_seconds_of_its_node_and_starts_after_what_it_waits_for(ground: Any, rules: Rules) -> None:
    finished = simulate(ground.case(rules))
    times = {(task.run_id, task.task): task for task in finished.tasks}
    for task in finished.tasks:
        assert task.run_seconds == pytest.approx(40 if (task.node or "").startswith("slow") else 10)
    for run in finished.runs:
        first, left, right, last = (times[run.run_id, f"t{index}"] for index in range(4))
        assert first.started_at >= run.submitted_at
        assert min(left.started_at, right.started_at) >= first.finished_at
        assert last.started_at >= max(left.finished_at, right.finished_at)


def test_nodes_are_never_given_more_than_they_have(ground: Any, rules: Rules) -> None:
    assert overlaps(simulate(ground.case(rules, runs=12, every=3.0))) == []


def test_the_same_seed_gives_the_same_to_the_last_digit(ground: Any, rules: Rules) -> None:
    nature = Nature(noise_sigma=0.3, start_seconds=1.0, bind_seconds=0.5)
    first, second, other = (
        simulate(ground.case(rules, nature=nature, telling=Telling(error_sigma=0.5), seed=seed)) for seed in (1, 1, 2)
    )
    assert facts(first) == facts(second)
    assert facts(first) != facts(other)


def test_the_same_task_has_the_same_luck_under_every_strategy(ground: Any) -> None:
    seen: dict[tuple[str, str, str], set[float]] = {}
    for placer in ("fifo_greedy", "fifo_round_robin", "kubernetes"):
        finished = simulate(ground.case(Rules(placer=placer), nature=Nature(noise_sigma=0.5), seed=3))
        for task in finished.tasks:
            kind = (task.node or "").partition("-")[0]
            seen.setdefault((task.run_id, task.task, kind), set()).add(task.run_seconds or 0)
    assert all(max(seconds) - min(seconds) < 1e-4 for seconds in seen.values())
    assert len({seconds for found in seen.values() for seconds in found}) > 20


@pytest.mark.parametrize("binding", list(Binding))
def test_tasks_of_a_lost_node_run_again_and_every_run_ends(ground: Any, binding: Binding) -> None:
    losses = [Loss("fast-0", 12.0, 30.0), Loss("slow-1", 20.0, 5.0), Loss("fast-1", 25.0, 60.0)]
    finished = simulate(ground.case(Rules(placer="fifo_greedy", binding=binding), losses=losses))
    assert {run.state for run in finished.runs} == {"succeeded"}
    lost = [task for task in finished.tasks if task.state == "lost"]
    assert lost
    assert sum(task.state == "succeeded" for task in finished.tasks) == 32
    for loss in losses:
        down = (loss.seconds, loss.seconds + (loss.back_after_seconds or 0))
        on_it = [task for task in finished.tasks if task.node == loss.node and task.started_at is not None]
        assert not [task for task in on_it if down[0] < (task.started_at or 0) < down[1]]


def test_nodes_that_come_and_go_at_random_lose_no_run(ground: Any) -> None:
    nature = Nature(loss_mean_seconds=60.0, repair_mean_seconds=20.0, failure_probability=0.1)
    work = ground.diamond(retries=20)
    finished = simulate(ground.case(Rules(placer="fifo_greedy"), runs=20, work=work, nature=nature, seed=5))
    assert len(finished.runs) == 20
    assert {run.state for run in finished.runs} == {"succeeded"}
    assert {task.state for task in finished.tasks} == {"succeeded", "failed", "lost"}


@pytest.mark.parametrize("name", ["when ready", "at submission", "reserved"])
def test_a_task_that_fails_for_good_ends_its_run_as_failed_and_no_other(ground: Any, name: str) -> None:
    work = ground.diamond("bad", failure_probability=1.0)
    case = ground.case(ALL_RULES[name], runs=3)
    broken = replace(case.arrivals[1], work=work)
    finished = simulate(replace(case, arrivals=[case.arrivals[0], broken, case.arrivals[2]]))
    assert {run.run_id: run.state for run in finished.runs} == {"r0": "succeeded", "r1": "failed", "r2": "succeeded"}


def test_a_node_that_arrives_later_takes_work_from_then_on(ground: Any) -> None:
    def machines() -> list[Any]:
        made = ground.machines()
        made[3].joins_at = 50.0
        return list(made)

    finished = simulate(replace(ground.case(Rules(placer="fifo_greedy"), runs=12, every=2.0), machines=machines))
    starts = [task.started_at for task in finished.tasks if task.node == "fast-1"]
    assert starts
    assert min(starts) >= 50.0


def test_inputs_travel_over_the_network_and_share_the_cards(ground: Any) -> None:
    work = ground.diamond(output_bytes=100e6)
    ends = {}
    for sharing in ("free", "alone", "cards"):
        nature = Nature(wires=Wires(sharing, 10e6))
        finished = simulate(ground.case(Rules(placer="fifo_round_robin"), runs=1, work=work, nature=nature))
        ends[sharing] = finished.runs[0].finished_at
    assert ends["free"] < ends["alone"] - 19
    assert ends["alone"] < ends["cards"] - 9


def test_neighbours_slow_a_task_down(ground: Any) -> None:
    half = replace(ground.diamond().tasks["t0"].ways[0], cpu_millicores=500, seconds={"fast": 10.0})
    work = make_work("one", [TaskWork("t", (half,))], kinds=("slow", "fast"))
    arrivals = [Arrival(0.0, f"r{index}", work) for index in range(4)]
    case = replace(ground.case(Rules(placer="fifo_greedy")), arrivals=arrivals)
    alone, slowed = simulate(case), simulate(replace(case, nature=Nature(slowdown=0.5)))
    assert {round(task.run_seconds or 0, 3) for task in alone.tasks} == {10.0}
    assert {round(task.run_seconds or 0, 3) for task in slowed.tasks} == {15.0}


def test_a_window_keeps_new_runs_until_it_ends(ground: Any) -> None:
    rules = Rules(placer="fifo_greedy", window_seconds=20.0, window_offset_seconds=5.0, debounce_seconds=0.0)
    finished = simulate(ground.case(rules, runs=4, every=6.0))
    placed = {task.run_id: task.placed_at for task in finished.tasks if task.task == "t0"}
    assert placed["r0"] == 5.0
    assert {placed["r1"], placed["r2"], placed["r3"]} == {25.0}


def test_a_reserved_node_runs_no_other_pipeline_between_two_tasks_of_one(ground: Any) -> None:
    rules = Rules(placer="fifo_random", reservation="pipeline", release="run")
    finished = simulate(ground.case(rules, runs=8, every=1.0))
    spans = {(run.run_id): (run.dispatched_at, run.finished_at) for run in finished.runs}
    nodes: dict[str, set[str]] = {}
    for task in finished.tasks:
        nodes.setdefault(task.run_id, set()).add(task.node or "")
    for one, (start, end) in spans.items():
        for other, (begin, _) in spans.items():
            if one != other and start <= begin < end:
                assert not nodes[one] & nodes[other]


def test_a_task_that_fits_nowhere_ends_in_a_sentence(ground: Any) -> None:
    work = make_work("big", [TaskWork("t", (Way({"fast": 1.0}, cpu_millicores=64_000),))], kinds=("slow", "fast"))
    with pytest.raises(StuckError, match="1 runs have not ended"):
        simulate(ground.case(Rules(placer="fifo_greedy"), runs=1, work=work))


@pytest.mark.parametrize("placer", ["fifo_greedy", "srpt_eft", "online"])
def test_runs_that_are_handed_over_whole_keep_out_of_each_others_way(placer: str) -> None:
    """Six chains of two on two equal nodes: no later plan sends its second task where earlier ones will run theirs."""
    work = make_work("chain", [TaskWork("a", (_way(),)), TaskWork("b", (_way(),), (0,))], kinds=("n",))
    case = Case(
        machines=lambda: [
            Machine(Node(f"n-{i}", Resources(1000, 2**30, (), 9), {KIND_LABEL: "n"}), "n") for i in range(2)
        ],
        arrivals=[Arrival(0.0, f"r{number}", work) for number in range(6)],
        rules=Rules(placer=placer, binding=Binding.AT_SUBMISSION),
    )
    finished = simulate(case)
    assert max(run.finished_at for run in finished.runs) == pytest.approx(60, abs=1)


def _way() -> Way:
    return Way({"n": 10.0}, cpu_millicores=1000)
