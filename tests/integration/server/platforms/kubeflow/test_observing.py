"""First, do no harm: it only looks until a namespace is opted in, and then callers run things as themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlopx import component, pipeline
from server.cluster.kubernetes import KubernetesNodes
from server.components.pipeline_manager import Submission
from server.domain.errors import ConflictError, UnauthorizedError, UnavailableError
from server.domain.placement import WaitingRun
from server.kube.access import Access
from server.kube.client import KubeClient
from server.kube.permissions import OBSERVE, PLACE, SUBMIT, held
from server.platforms.kubeflow.client import KfpRun
from server.platforms.kubeflow.namespaces import Namespaces
from server.platforms.kubeflow.observer import Observer, read_observed
from server.platforms.kubeflow.observing import Lesson
from server.platforms.kubeflow.polling import Poller
from server.platforms.kubeflow.sight import Place, TaskSight

TELL = "import json, sys; print('working'); json.dump({}, open(json.loads(sys.argv[1])['outputs']['outputFile'], 'w'))"


@component
def step(a: int = 0, b: int = 0) -> int:
    return a + b


@pipeline
def single():
    step(a=1, b=1).named("only")


def somebodys(name: str = "theirs") -> dict[str, Any]:
    """A run that somebody else makes: two tasks, one after the other, the second on chosen nodes."""
    tasks = {
        "load": {"taskInfo": {"name": "load"}, "componentRef": {"name": "comp-load"}},
        "train": {"taskInfo": {"name": "train"}, "componentRef": {"name": "comp-train"}, "dependentTasks": ["load"]},
    }
    container = {"image": "python:3.11", "command": ["python3", "-c", TELL], "args": ["{{$}}"]}
    executors = {
        "exec-load": {"container": container},
        "exec-train": {"container": {**container, "resources": {"resourceCpuRequest": "500m"}}},
    }
    document = {
        "pipelineInfo": {"name": name},
        "root": {"dag": {"tasks": tasks}},
        "components": {f"comp-{one}": {"executorLabel": f"exec-{one}"} for one in tasks},
        "deploymentSpec": {"executors": executors},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.0",
    }
    chosen = {"exec-train": {"nodeSelector": {"labels": {"kubernetes.io/hostname": "two"}}}}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": chosen}}}}
    return {"display_name": name, "pipeline_spec": {"pipeline_spec": document, "platform_spec": platform}}


async def test_a_namespace_is_only_observed_until_it_is_opted_in(make: Any) -> None:
    async with make() as ground:
        ground.double.kube.objects.put("namespaces", {"metadata": {"name": "kubeflow", "labels": {}}})
        async with ground.house(mode="auto") as house:
            with pytest.raises(ConflictError, match="only observed") as refused:
                await house.submit(single)
            assert "kubectl label namespace kubeflow mlopx.dev/mode=place" in (refused.value.hint or "")
            labels = {"mlopx.dev/mode": "place"}
            ground.double.kube.objects.put("namespaces", {"metadata": {"name": "kubeflow", "labels": labels}})
            await ground.platform.modes[""].look()
            run = await house.ended((await house.submit(single)).id)
    assert str(run.state) == "succeeded"


async def test_where_kubernetes_does_not_tell_yet_nobody_is_told_that_it_is_only_observed(make: Any) -> None:
    async with make() as ground:
        ground.double.kube.objects.put("namespaces", {"metadata": {"name": "kubeflow", "labels": {}}})
        ground.double.kube.is_down = True
        async with ground.house(mode="auto") as house:
            with pytest.raises(UnavailableError, match="is not known yet: its label cannot be read"):
                await house.submit(single)
            ground.double.kube.is_down, ground.double.kube.denied = False, {("get", "namespaces")}
            await ground.platform.modes[""].look()
            with pytest.raises(ConflictError, match="only observed"):
                await house.submit(single)


async def test_observing_learns_from_everybodys_runs_and_writes_nothing(make: Any, tmp_path: Path) -> None:
    taught: list[Lesson] = []
    asked: list[WaitingRun] = []

    async def teach(lessons: Sequence[Lesson]) -> None:
        taught.extend(lessons)

    async def shadow(run: WaitingRun) -> Mapping[str, str]:
        asked.append(run)
        return {task.key.path: "one" for task in run.tasks}

    async with make() as ground, ground.house(mode="observe"):

        def an_observer() -> Observer:
            return Observer(
                ground.platform.client,
                namespaces=Namespaces(),
                file=tmp_path / "observed.jsonl",
                sights=ground.platform.watcher.sights,
                teach=teach,
                shadow=shadow,
                now=ground.clock.now,
            )

        async def look(observer: Observer) -> None:
            poller = Poller(ground.platform.client, namespace="", now=ground.clock.now, is_all=True)
            seen = list((await poller.look([]))[0].values())
            await observer.take(seen)

        observer = an_observer()
        ground.double.world.holding = {"load"}
        first = ground.double.create(somebodys())
        await asyncio.sleep(0.05)
        await look(observer)
        ground.double.terminate(first.id)
        ground.double.world.holding = set()
        second = ground.double.create(somebodys("again"))
        await ground.double.ended(second.id)
        async with asyncio.timeout(60):
            while not any(lesson.run_id == second.id for lesson in taught):
                await look(observer)
                await asyncio.sleep(0.05)
        count = len(taught)
        await look(an_observer())
        assert len(taught) == count, "a run is learned from once, also after a restart"
    assert [task.key.path for task in asked[0].tasks] == ["load", "train"]
    assert asked[0].tasks[1].options[0].requests.cpu_millicores == 500
    learned = {lesson.task: lesson for lesson in taught if lesson.run_id == second.id}
    assert set(learned) == {"load", "train"}
    assert learned["train"].node == "two"
    assert learned["train"].component_digest == learned["load"].component_digest, "equal work is equal"
    assert learned["train"].queue_seconds is not None
    lines = read_observed(tmp_path / "observed.jsonl")
    assert {(line["task"], line["node"]) for line in lines if line["run"] == second.id} >= {("train", "two")}
    assert ground.double.kube.written == []
    assert {call.method for call in ground.double.calls} == {"GET"}
    granted = {(verb, one.sub or one.kind.plural) for one in OBSERVE for verb in one.verbs}
    used = {(call.verb, call.sub or call.plural) for call in ground.double.kube.calls}
    assert used <= granted


async def test_who_sees_pods_in_its_namespace_only_still_follows_its_runs_task_by_task(make: Any) -> None:
    async with make() as ground:
        ground.double.kube.denied = {("list", "pods", ""), ("watch", "pods", "")}
        async with ground.house() as house:
            run = await house.ended((await house.submit(single)).id)
    [task] = run.tasks.values()
    assert str(run.state) == "succeeded"
    assert task.current.actual_node in ("one", "two")
    assert task.current.scheduled_at is not None, "the pod was seen"


async def test_placing_uses_no_more_than_what_deploy_grants(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        await house.ended((await house.submit(single)).id)
        await asyncio.sleep(0.1)
    granted = {(verb, one.sub or one.kind.plural) for one in (*OBSERVE, *PLACE) for verb in one.verbs}
    assert {(call.verb, call.sub or call.plural) for call in ground.double.kube.calls} <= granted


def test_the_manifests_grant_exactly_what_is_asked_for(project_root: Path) -> None:
    import yaml

    for file, permissions in (("observe.yaml", OBSERVE), ("place.yaml", PLACE), ("submit.yaml", SUBMIT)):
        rules = [
            (document["kind"] == "ClusterRole", rule)
            for document in yaml.safe_load_all((project_root / "deploy" / file).read_text())
            if document["kind"] in ("Role", "ClusterRole")
            for rule in document["rules"]
        ]
        granted = {
            (is_cluster, group, resource, verb)
            for is_cluster, rule in rules
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        wanted = {
            (one.is_everywhere or one.kind.plural == "namespaces", one.kind.api_group, one.text, verb)
            for one in permissions
            for verb in one.verbs
        }
        assert granted == wanted


async def test_rights_are_asked_for_one_by_one(make: Any) -> None:
    async with make() as ground, KubeClient(Access(url=ground.kube_url)) as client:
        ground.double.kube.denied = {("watch", "workflows")}
        found = await held(client, "kubeflow", is_placing=True)
    missing = [(one.verb, one.permission.text) for one in found if not one.is_held]
    assert missing == [("watch", "workflows")]
    assert all(one.permission.lost for one in found)


async def test_in_multi_user_mode_a_run_is_made_as_its_caller_or_refused(make: Any) -> None:
    async with make() as ground:
        ground.double.is_multi_user = True
        options: dict[str, Any] = {
            "namespaces": Namespaces(("team",)),
            "headers": {"kubeflow-userid": "mlopx@example.org"},
        }
        async with ground.house(**options) as house:
            with pytest.raises(UnauthorizedError, match="multi-user"):
                await house.submit(single)
            submission = Submission(single.build(), caller={"kubeflow-userid": "ada@example.org", "accept": "*/*"})
            run = await house.ended((await house.pipeline_manager.submit(submission)).id)
    assert str(run.state) == "succeeded"
    [record] = ground.double.runs.values()
    assert (record.user, record.namespace) == ("ada@example.org", "team")
    made = [call for call in ground.double.calls if call.method == "POST"]
    assert {call.user for call in made} == {"ada@example.org"}


async def test_a_token_file_is_read_for_every_request(make: Any, tmp_path: Path) -> None:
    from server.platforms.kubeflow.client import KfpClient
    from server.platforms.kubeflow.identity import Identity

    token = tmp_path / "token"
    token.write_text("one")
    async with make() as ground:
        client = KfpClient(ground.url, identity=Identity(token_file=token), now=ground.clock.now)
        ground.double.token = "one"
        await client.list([])
        ground.double.token = "two"
        token.write_text("two\n")
        await client.list([])
        await client.aclose()


async def test_what_our_runs_hold_is_not_counted_twice(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        ground.double.world.holding = {"only"}
        run = await house.submit(single)
        await house.until(run.id, lambda found: any(task.current.actual_node for task in found.tasks.values()))
        async with KubeClient(Access(url=ground.kube_url)) as client:
            ours = KubernetesNodes(client, now=ground.clock.now, own_runs=ground.own_runs)
            assert (await ours.look()).foreign == ()
            strangers = KubernetesNodes(client, now=ground.clock.now)
            assert len((await strangers.look()).foreign) == 1


async def test_a_run_whose_creation_is_not_answered_yet_is_no_stranger(make: Any) -> None:
    async with make() as ground:
        ground.double.world.holding = {"only"}
        ground.double.silent_answers, ground.double.silence_seconds = 1, 8.0
        async with ground.house(timeout_seconds=60) as house, KubeClient(Access(url=ground.kube_url)) as client:
            run = await house.submit(single)
            nodes = KubernetesNodes(client, now=ground.clock.now, own_runs=ground.own_runs)
            async with asyncio.timeout(60):
                while not any(pod.run == run.id for pod in nodes.pods):
                    seen = await nodes.look()
            assert (await house.journal.run(run.id)).platform_run_id is None, "the answer came before the pod"
            assert seen.foreign == ()


async def test_what_following_sees_is_observed_without_asking_again(make: Any, tmp_path: Path) -> None:
    offered: list[str] = []
    async with make() as ground, ground.house():
        ground.platform.watcher.tell_all(lambda runs: offered.extend(run.name for run in runs))
        ground.double.create(somebodys())
        before = len(ground.double.calls)
        await ground.platform.watcher.poll()
        assert len(ground.double.calls) - before <= 4
    assert "theirs" in offered


def an_ended(number: int, at: datetime) -> KfpRun:
    return KfpRun(f"r{number}", f"theirs {number}", "SUCCEEDED", finished_at=at)


def a_sight(path: str, phase: str, at: datetime) -> TaskSight:
    return TaskSight(Place(path), phase, node="one", started_at=at, finished_at=at if phase == "succeeded" else None)


async def test_a_run_is_learned_from_when_all_of_it_is_seen_or_nothing_more_will_be(tmp_path: Path) -> None:
    began = now = datetime(2026, 1, 1, tzinfo=UTC)
    seen: dict[str, list[TaskSight]] = {}
    taught: list[tuple[str, str]] = []
    is_blind = False

    async def teach(lessons: Sequence[Lesson]) -> None:
        taught.extend((lesson.run_id, lesson.task) for lesson in lessons)

    def an_observer() -> Observer:
        return Observer(
            None,  # type: ignore[arg-type]  # runs are handed in
            namespaces=Namespaces(),
            file=tmp_path / "observed.jsonl",
            sights=lambda run_id: seen.get(run_id, []),
            teach=teach,
            shadow=None,
            now=lambda: now,
            is_blind=lambda: is_blind,
        )

    observer = an_observer()
    assert observer.away_since is None
    seen["r1"] = [a_sight("load", "succeeded", began), a_sight("train", "running", began)]
    await observer.take([an_ended(1, began)])
    assert taught == [], "its last pod is not seen to end yet"
    seen["r1"][1] = a_sight("train", "succeeded", began)
    await observer.take([])
    assert taught == [("r1", "load"), ("r1", "train")]

    is_blind, now = True, began + timedelta(minutes=40)
    await observer.take([an_ended(2, began)])
    is_blind, seen["r2"] = False, [a_sight("load", "succeeded", began)]
    await observer.take([])
    assert taught[2:] == [("r2", "load")], "Kubernetes was away for a while"

    await observer.take([an_ended(3, began)])
    assert {line["run"] for line in read_observed(tmp_path / "observed.jsonl")} == {"r1", "r2", "r3"}
    assert an_observer().away_since == began
    now = began + timedelta(days=9)
    assert an_observer().away_since == began + timedelta(days=8), "what ended before left nothing to see"


async def test_what_ended_while_no_server_was_there_is_observed_after_its_return(make: Any, hurry: Any) -> None:
    async with make(hurry) as ground:
        record = ground.double.create(somebodys())
        await ground.double.ended(record.id)
        since, hurry.rate = ground.clock.now(), 10_000.0
        while ground.clock.now() < since + timedelta(minutes=30):
            await asyncio.sleep(0.01)
        hurry.rate = 1.0
        async with ground.house(update_seconds=1000):
            offered: list[str] = []
            for moment in (None, since):
                ground.platform.watcher.tell_all(lambda runs: offered.extend(run.name for run in runs), moment)
                await ground.platform.watcher.poll()
                assert offered == (["theirs"] if moment else [])
