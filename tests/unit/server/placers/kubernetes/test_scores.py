"""How much a pod would like each node; every figure worked out by hand from the documented formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.placers.kubernetes.nodes import Machine, Machines, read_machine
from server.placers.kubernetes.pod_reading import read_pod
from server.placers.kubernetes.pods import Pod
from server.placers.kubernetes.reading import Part
from server.placers.kubernetes.scheduling import WEIGHTS, Question, most_looked_at

MakePod = Callable[..., Pod]
MakeMachine = Callable[..., Machine]
Scores = Callable[[Pod, Machines, str], dict[str, int]]
MIB = 2**20


def pair(machine: MakeMachine, **first: Any) -> Machines:
    return Machines([machine("one", **first), machine("spare", cpu="400", memory="800Gi")])


@pytest.mark.parametrize(
    ("requests", "score"),
    [
        ({"cpu": "1", "memory": "2Gi"}, 75),
        ({"cpu": "4", "memory": "8Gi"}, 0),
        ({"cpu": "4", "memory": "4Gi"}, 25),  # 0 of the processors left, 50 of the memory
        ({"cpu": "1", "memory": "1"}, 87),  # 75 and 99 (99.99.. rounded down)
        ({}, 97),  # 3900 of 4000 is 97; 7992 of 8192 is 97
        ({"cpu": "500m"}, 92),  # 87 and 97
        ({"cpu": "0", "memory": "0"}, 100),
    ],
)
def test_the_mean_share_that_stays_free(
    pod: MakePod, machine: MakeMachine, scores: Scores, requests: dict[str, str], score: int
) -> None:
    assert scores(pod(requests=requests), pair(machine), "NodeResourcesFit")["one"] == score


def test_pods_without_requests_count_for_the_free_share_but_take_no_room(
    pod: MakePod, machine: MakeMachine, scores: Scores
) -> None:
    machines = pair(machine, cpu="1", memory="1Gi")
    for number in range(11):
        machines.add(pod(f"idle-{number}"), 0)
    found = scores(pod(requests={"cpu": "1", "memory": "1Gi"}), machines, "NodeResourcesFit")
    assert found == {"one": 0, "spare": 99}


def test_what_a_node_does_not_have_is_left_out_of_the_mean(pod: MakePod, machine: MakeMachine, scores: Scores) -> None:
    machines = pair(machine, memory="0")
    assert scores(pod(requests={"cpu": "1"}), machines, "NodeResourcesFit")["one"] == 75
    assert scores(pod(requests={"cpu": "1"}), machines, "NodeResourcesBalancedAllocation")["one"] == 75


def test_evenness_is_judged_by_what_the_pod_changes(pod: MakePod, machine: MakeMachine, scores: Scores) -> None:
    machines = pair(machine)
    plugin = "NodeResourcesBalancedAllocation"
    # 2 of 4 and 2 of 8: deviation 0.125, 87 after 100: 50 + (50 + 87 - 100) // 2
    assert scores(pod(requests={"cpu": "2", "memory": "2Gi"}), machines, plugin)["one"] == 68
    assert scores(pod(requests={"cpu": "2", "memory": "4Gi"}), machines, plugin)["one"] == 75
    machines.add(pod("lopsided", requests={"cpu": "2"}), 0)
    # from 50 % and 0 % (75) to 50 % and 50 % (100): 50 + (50 + 100 - 75) // 2
    assert scores(pod(requests={"memory": "4Gi"}), machines, plugin)["one"] == 87
    # from 75 to 100 % and 0 % (50): 50 + (50 + 50 - 75) // 2
    assert scores(pod(requests={"cpu": "2"}), machines, plugin)["one"] == 62


def test_a_pod_that_asks_for_nothing_is_not_judged_by_evenness(
    pod: MakePod, machine: MakeMachine, scores: Scores
) -> None:
    assert scores(pod(), pair(machine), "NodeResourcesBalancedAllocation") == {}
    assert scores(pod(requests={"nvidia.com/gpu": "0"}), pair(machine), "NodeResourcesBalancedAllocation") == {}


def test_accelerators_do_not_count_in_scores(pod: MakePod, machine: MakeMachine, scores: Scores) -> None:
    machines = Machines(
        [machine(name, extra={"nvidia.com/gpu": count}) for name, count in (("few", "1"), ("many", "8"))]
    )
    asked = pod(requests={"cpu": "1", "memory": "2Gi", "nvidia.com/gpu": "1"})
    assert scores(asked, machines, "NodeResourcesFit") == {"few": 75, "many": 75}
    assert scores(asked, machines, "NodeResourcesBalancedAllocation") == {"few": 75, "many": 75}


def test_soft_taints_count_against_a_node(pod: MakePod, machine: MakeMachine, scores: Scores) -> None:
    def soft(count: int) -> list[dict[str, str]]:
        return [{"key": f"soft-{number}", "effect": "PreferNoSchedule"} for number in range(count)]

    machines = Machines([machine(f"with-{count}", taints=soft(count)) for count in range(4)])
    plugin = "TaintToleration"
    # 0, 33, 66 and 100 percent of the most, from 100, three times
    assert scores(pod(), machines, plugin) == {"with-0": 300, "with-1": 201, "with-2": 102, "with-3": 0}
    tolerant = pod(tolerations=[{"key": "soft-2", "operator": "Exists"}, {"key": "soft-1", "effect": "NoSchedule"}])
    assert scores(tolerant, machines, plugin) == {"with-0": 300, "with-1": 150, "with-2": 0, "with-3": 0}
    assert set(scores(pod(tolerations=[{"operator": "Exists"}]), machines, plugin).values()) == {300}


def wish(weight: int, key: str, *values: str) -> dict[str, Any]:
    expression = {"key": key, "operator": "In" if values else "Exists", "values": list(values)}
    return {"weight": weight, "preference": {"matchExpressions": [expression]}}


def preferring(*wishes: dict[str, Any]) -> dict[str, Any]:
    return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": list(wishes)}}


def test_wishes_add_up_and_count_in_shares_of_the_best(pod: MakePod, machine: MakeMachine, scores: Scores) -> None:
    machines = Machines([machine(zone, labels={"zone": zone, "disk": disk}) for zone, disk in ("as", "bs", "ch", "dh")])
    wishes = preferring(wish(10, "zone", "a", "b"), wish(20, "zone", "b"), wish(7, "disk", "h"), wish(0, "zone"))
    # 10, 30, 7 and 7 of 30: 33, 100, 23 and 23 percent, twice
    assert scores(pod(affinity=wishes), machines, "NodeAffinity") == {"a": 66, "b": 200, "c": 46, "d": 46}
    empty = preferring({"weight": 50, "preference": {}})
    assert set(scores(pod(affinity=empty), machines, "NodeAffinity").values()) == {0}
    by_name = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["c"]}]}
    named = preferring({"weight": 1, "preference": by_name})
    assert scores(pod(affinity=named), machines, "NodeAffinity") == {"a": 0, "b": 0, "c": 200, "d": 0}


@pytest.mark.parametrize(
    ("key", "operator", "value"),
    [("size", "Gt", "much"), ("size", "Gt", "-5"), ("size", "In", "two words"), ("a/b/size", "In", "2")],
)
def test_a_wish_that_cannot_be_judged_keeps_the_pod_waiting_where_nodes_must_be_compared(
    pod: MakePod, machine: MakeMachine, key: str, operator: str, value: str
) -> None:
    broken = {"matchExpressions": [{"key": key, "operator": operator, "values": [value]}]}
    asked = pod(affinity=preferring({"weight": 1, "preference": broken}))
    for nodes, expected in (([machine("one"), machine("two")], []), ([machine("one")], [0])):
        question = Question(asked, Machines(nodes))
        assert question.decide(question.feasible()).best() == expected


def image(size_mib: float, *names: str) -> dict[str, Any]:
    return {"names": list(names), "sizeBytes": int(size_mib * MIB)}


def test_an_image_that_is_there_counts_by_its_size_and_by_how_many_have_it(
    pod: MakePod, machine: MakeMachine, scores: Scores
) -> None:
    machines = Machines(
        [
            machine(
                "one", images=[image(1000, "x.test/big:1", "x.test/big@sha256:0"), image(900, "x.test/small:latest")]
            ),
            machine("two", images=[image(900, "x.test/small:latest")]),
        ]
    )
    plugin = "ImageLocality"
    # 1000 MiB on half of the nodes: 500; 100 * (500 - 23) // (1000 - 23)
    assert scores(pod(image="x.test/big:1"), machines, plugin) == {"one": 48, "two": 0}
    assert scores(pod(image="x.test/big@sha256:0"), machines, plugin) == {"one": 48, "two": 0}
    # 100 * (900 - 23) // (1000 - 23), and the tag that is not said
    assert scores(pod(image="x.test/small"), machines, plugin) == {"one": 89, "two": 89}
    # both: 1400 and 900 of 2000
    both = pod(containers=[{"image": "x.test/big:1"}, {"image": "x.test/small"}])
    assert scores(both, machines, plugin) == {"one": 69, "two": 44}
    starting = pod(containers=[{"image": "x.test/small"}], initContainers=[{"image": "x.test/absent"}])
    assert scores(starting, machines, plugin) == {"one": 44, "two": 44}
    assert scores(pod(image="localhost:5000/small"), machines, plugin) == {"one": 0, "two": 0}


def test_the_smallest_images_do_not_count_and_the_largest_no_more_than_others(
    pod: MakePod, machine: MakeMachine, scores: Scores
) -> None:
    machines = Machines([machine("one", images=[image(45, "tiny:1"), image(5000, "huge:1")]), machine("two")])
    assert scores(pod(image="tiny:1"), machines, "ImageLocality") == {"one": 0, "two": 0}
    assert scores(pod(image="huge:1"), machines, "ImageLocality") == {"one": 100, "two": 0}


def test_the_final_score_is_the_weighted_sum_and_the_best_share_it(pod: MakePod, machine: MakeMachine) -> None:
    tainted = machine("soft", taints=[{"key": "spot", "effect": "PreferNoSchedule"}])
    question = Question(pod(requests={"cpu": "1", "memory": "2Gi"}), Machines([machine("a"), tainted, machine("b")]))
    decision = question.decide(question.feasible())
    assert decision.final.tolist() == [300 + 75 + 75, 75 + 75, 300 + 75 + 75]
    assert decision.best() == [0, 2]


def test_a_pod_with_one_node_left_is_not_scored(pod: MakePod, machine: MakeMachine) -> None:
    question = Question(pod(requests={"cpu": "5"}), Machines([machine("small"), machine("large", cpu="8")]))
    decision = question.decide(question.feasible())
    assert (decision.best(), dict(decision.scores)) == ([1], {})


@pytest.mark.parametrize(
    ("nodes", "looked_at"), [(1, 1), (99, 99), (100, 100), (250, 120), (1000, 420), (5000, 500), (9000, 450)]
)
def test_of_a_large_cluster_only_a_part_is_looked_at(nodes: int, looked_at: int) -> None:
    assert most_looked_at(nodes) == looked_at


amounts = st.fixed_dictionaries(
    {}, optional={"cpu": st.sampled_from(("100m", "1", "0.5", "3")), "memory": st.sampled_from(("64Mi", "1e9", "3Gi"))}
)
clusters = st.lists(
    st.tuples(st.sampled_from(("1", "4", "0")), st.sampled_from(("1Gi", "4Gi"))), min_size=1, max_size=6
)


@given(shapes=clusters, asked=st.lists(amounts, min_size=1, max_size=8))
def test_a_pod_never_goes_where_it_does_not_fit_and_every_score_keeps_its_bounds(
    shapes: list[tuple[str, str]], asked: list[dict[str, str]]
) -> None:
    has = [{"cpu": cpu, "memory": memory, "pods": "3"} for cpu, memory in shapes]
    machines = Machines([read_machine(Part({"name": str(n), "allocatable": one}, "")) for n, one in enumerate(has)])
    for number, requests in enumerate(asked):
        container = {"resources": {"requests": requests}}
        pod = read_pod(str(number), Part({"containers": [container]}, ""), {}, "default")
        question = Question(pod, machines)
        decision = question.decide(question.feasible())
        again = Question(pod, machines).decide(Question(pod, machines).feasible())
        assert again.best() == decision.best()
        for plugin, scores in decision.scores.items():
            assert 0 <= scores.min() <= scores.max() <= 100 * WEIGHTS[plugin]
        for node in decision.best()[:1]:
            machines.add(pod, node)
            held = machines.pods[node]
            assert len(held) <= 3
            for name in ("cpu", "memory"):
                assert sum(one.requests.get(name, 0) for one in held) <= machines.allocatable(name)[node]
