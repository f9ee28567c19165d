"""Whatever breaks between us and Kubeflow: nothing is lost, nothing runs twice, each trouble is seen with a reason."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from mlopx import component, pipeline
from server.components import dispatcher
from server.connecting import translate
from server.domain.states import TaskState
from server.testing.kfp import VirtualNode
from server.testing.kfp.api import LostAnswerError
from server.testing.kfp.compiling import NotCompiledError


@component
def step(a: int = 0, b: int = 0) -> int:
    return a + b


@pipeline
def pair():
    first = step(a=1, b=1).named("first")
    step(a=first.output, b=1).named("second")


@pipeline
def tough():
    step(a=1, b=1).named("only").retry(2)


def is_running(run: Any) -> bool:
    return any(task.state is TaskState.RUNNING for task in run.tasks.values())


def started_once(ground: Any) -> bool:
    counts = Counter(ground.double.world.started)
    return bool(counts) and set(counts.values()) == {1}


async def test_an_api_that_is_down_at_the_start_is_waited_for(make: Any, hurry: Any) -> None:
    async with make(hurry) as ground:
        ground.double.is_down = True
        async with ground.house() as house:
            hurry.rate = 0.0
            run = await house.submit(pair)
            run = await house.until(run.id, lambda found: any(task.hold for task in found.tasks.values()))
            reason = next(iter(run.tasks.values())).hold
            assert "the platform did not take it" in reason
            assert ground.platform.problems()["health"]
            again_at = next(iter(run.tasks.values())).current.not_before
            assert again_at is not None
            for _ in range(20):
                run = await house.journal.run(run.id)
                assert str(run.state) == "waiting", "it is not sent again before"
                assert {task.hold for task in run.tasks.values()} == {reason}, "and says why all the time"
                await asyncio.sleep(0.01)
            assert ground.clock.now() < again_at
            ground.double.is_down, hurry.rate = False, 100.0
            await house.until(run.id, lambda found: found.platform_run_id is not None)
            hurry.rate = 1.0
            run = await house.ended(run.id)
    assert str(run.state) == "succeeded"
    assert len(ground.double.runs) == 1
    assert started_once(ground)


async def test_a_fault_of_our_own_at_handing_over_is_seen_with_its_reason_and_tried_again(make: Any) -> None:
    faults = [KeyError("nobody thought of it")]

    def faulty(spec: Any, choices: Any) -> Any:
        if faults:
            raise faults.pop()
        return translate(spec, choices)

    async with make() as ground, ground.house(translate=faulty) as house:
        run = await house.submit(pair)
        run = await house.until(run.id, lambda found: any(task.hold for task in found.tasks.values()))
        hold = next(task.hold for task in run.tasks.values() if task.hold)
        assert "this server failed at handing the run over (KeyError: 'nobody thought of it')" in hold
        run = await house.ended(run.id)
    assert str(run.state) == "succeeded"
    assert len(ground.double.runs) == 1
    assert started_once(ground)


async def test_a_create_call_whose_answer_is_lost_makes_no_second_run(make: Any) -> None:
    async with make() as ground:
        ground.double.lost_answers = 1
        async with ground.house() as house:
            run = await house.ended((await house.submit(pair)).id)
    assert str(run.state) == "succeeded"
    assert len(ground.double.runs) == 1
    assert started_once(ground)


async def test_a_create_call_that_is_not_answered_in_time_makes_no_second_run(make: Any) -> None:
    """Not an error of the server: nothing comes at all, until we wait no longer."""
    async with make() as ground:
        ground.double.silent_answers, ground.double.silence_seconds = 1, 0.6
        async with ground.house(timeout_seconds=0.3) as house:
            run = await house.submit(pair)
            run = await house.until(run.id, lambda found: any(task.hold for task in found.tasks.values()))
            assert "it may have taken the run" in next(task.hold for task in run.tasks.values() if task.hold)
            run = await house.ended(run.id)
    assert str(run.state) == "succeeded"
    creations = [call for call in ground.double.calls if (call.method, call.path) == ("POST", "/apis/v2beta1/runs")]
    assert len(creations) == len(ground.double.runs) == 1
    assert run.platform_run_id in ground.double.runs
    assert started_once(ground)


async def test_a_create_call_that_never_arrived_is_made_again_after_a_while(make: Any) -> None:
    async with make() as ground, ground.house(settle_seconds=0.5) as house:
        real = ground.double.create
        refused = [True]

        def create(body: Any, **more: Any) -> Any:
            if refused:
                refused.clear()
                ground.double.failing.append(504)
                raise KeyError("lost on its way")
            return real(body, **more)

        ground.double.failing = []
        ground.double.create = create
        run = await house.ended((await house.submit(pair)).id)
    assert str(run.state) == "succeeded"
    assert len(ground.double.runs) == 1


class LateCreation:
    """Kubeflow takes its time with the first call of `create`, whose answer never comes."""

    def __init__(self, double: Any) -> None:
        self._real, self._bodies = double.create, list[Any]()
        double.create = self._create

    def _create(self, body: Any, **more: Any) -> Any:
        if self._bodies:
            return self._real(body, **more)
        self._bodies.append((body, more))
        raise LostAnswerError

    def carry_out(self) -> Any:
        """Now it is done."""
        body, more = self._bodies[0]
        return self._real(body, **more)


def is_unsure(run: Any) -> bool:
    return any("may have taken it" in task.hold for task in run.tasks.values())


async def test_a_server_that_dies_while_it_is_unsure_makes_no_second_run(make: Any, hurry: Any) -> None:
    async with make(hurry) as ground:
        late = LateCreation(ground.double)
        async with ground.house() as house:
            run = await house.until((await house.submit(pair)).id, is_unsure)
            assert str(run.state) == "dispatched"
        hurry.rate = 0.0  # it is carried out before the server gives up waiting for it
        async with ground.house(settle_seconds=1.0) as house:
            await asyncio.sleep(0.2)
            assert not ground.double.runs
            late.carry_out()
            hurry.rate = 1.0
            run = await house.ended(run.id)
    assert str(run.state) == "succeeded"
    assert list(ground.double.runs) == [run.platform_run_id]
    assert started_once(ground)


async def test_what_is_cancelled_while_it_is_unsure_is_stopped_if_it_comes(
    make: Any, hurry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "CANCEL_AGAIN_SECONDS", 0.05)
    async with make(hurry) as ground, ground.house(settle_seconds=1.0) as house:
        hurry.rate = 0.0  # it is carried out before the server gives up waiting for it
        late = LateCreation(ground.double)
        ground.double.world.holding = {"first"}
        run = await house.until((await house.submit(pair)).id, is_unsure)
        await house.pipeline_manager.cancel(run.id)
        await asyncio.sleep(0.2)
        record = late.carry_out()
        hurry.rate = 1.0
        run = await house.ended(run.id)
    assert str(run.state) == "cancelled"
    assert list(ground.double.runs) == [record.id]
    assert record.state in ("CANCELED", "FAILED")


async def test_what_is_cancelled_while_it_is_unsure_ends_if_it_never_comes(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "CANCEL_AGAIN_SECONDS", 0.05)
    async with make() as ground, ground.house() as house:
        LateCreation(ground.double)
        run = await house.until((await house.submit(pair)).id, is_unsure)
        await house.pipeline_manager.cancel(run.id)
        run = await house.ended(run.id)
    assert str(run.state) == "cancelled"
    assert not ground.double.runs


async def test_a_pipeline_that_kubeflow_cannot_make_is_not_sent_for_ever_and_hinders_nobody(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        real = ground.double.create
        names: list[str] = []

        def create(body: Any, **more: Any) -> Any:
            names.append(body["display_name"].split(" ")[0])
            if names[-1] == "tough":
                raise NotCompiledError('compiling task "only": artifact iterator not implemented yet')
            return real(body, **more)

        ground.double.create = create
        bad = [await house.ended((await house.submit(tough)).id) for _ in range(6)]
        good = await house.ended((await house.submit(pair)).id)
    assert {str(run.state) for run in bad} == {"failed"}
    assert all("artifact iterator not implemented yet" in run.error for run in bad)
    assert {task.reason for run in bad for task in run.tasks.values()} == {"not-handed-over"}
    assert names == ["tough"] * 6 + ["pair"]
    assert str(good.state) == "succeeded"


async def test_a_server_that_died_after_the_create_call_finds_the_run_again(make: Any) -> None:
    async with make() as ground:
        ground.double.world.holding = {"first"}
        async with ground.house() as house:
            run = await house.submit(pair)
            await house.until(run.id, is_running)
        stored = ground.store.load_run(run.id)
        assert stored.platform_run_id is not None
        async with ground.house() as house:
            await house.pipeline_manager.cancel(run.id)
            run = await house.ended(run.id)
    assert str(run.state) == "cancelled"
    assert len(ground.double.runs) == 1


async def test_what_happened_while_the_server_was_away_is_told_after_its_return(make: Any) -> None:
    async with make() as ground:
        async with ground.house() as house:
            run = await house.submit(pair)
            run = await house.until(run.id, lambda found: found.platform_run_id is not None)
        await ground.double.ended(run.platform_run_id)
        async with ground.house() as house:
            run = await house.ended(run.id)
    assert str(run.state) == "succeeded"
    assert {str(key): task.outputs["output"].value for key, task in run.tasks.items()} == {"first": 2, "second": 3}
    assert len(ground.double.runs) == 1
    assert started_once(ground)


@pytest.mark.parametrize("has_kube", [True, False])
async def test_an_hour_without_the_api_loses_nothing(make: Any, has_kube: bool, hurry: Any) -> None:
    async with make(hurry) as ground, ground.house(has_kube=has_kube) as house:
        ground.double.world.holding = {"second"}
        before = await house.submit(pair)
        before = await house.until(before.id, lambda found: found.platform_run_id is not None)
        ground.double.is_down, hurry.rate = True, 1000.0
        began, refused = hurry(), len(ground.double.calls)
        during = await house.submit(pair)
        async with asyncio.timeout(60):
            while hurry() - began < 3600 or len(ground.double.calls) - refused < 8:  # it really asked, and was refused
                await asyncio.sleep(0.01)
                ground.double.world.holding = set() if hurry() - began > 1800 else {"second"}
        assert "kubeflow" in ground.platform.problems()
        assert (await house.journal.run(during.id)).platform_run_id is None
        assert has_kube or not (await house.journal.run(before.id)).state.is_end
        ground.double.is_down, hurry.rate = False, 1.0
        ends = [str((await house.ended(run.id)).state) for run in (before, during)]
    assert ends == ["succeeded", "succeeded"]
    assert len(ground.double.runs) == 2
    assert started_once(ground)


@pytest.mark.parametrize("is_back_in_time", [True, False])
async def test_kubernetes_may_be_away_while_kubeflow_goes_on(make: Any, is_back_in_time: bool, hurry: Any) -> None:
    """What it would have told is told when it is back; a run that ended long before that ends by Kubeflow's word."""
    async with make(hurry) as ground, ground.house() as house:
        ground.double.world.holding = {"first"}
        run = await house.until((await house.submit(pair)).id, is_running)
        ground.double.kube.is_down = True
        ground.double.kube.cut_watches()
        async with asyncio.timeout(60):
            while not {"pods", "workflows"} <= set(ground.platform.problems()):
                await asyncio.sleep(0.01)
        ground.double.world.holding = set()
        await ground.double.ended(run.platform_run_id)
        assert not (await house.journal.run(run.id)).state.is_end, "an end is not told before its tasks can be"
        if is_back_in_time:
            ground.double.kube.is_down = False
        else:
            hurry.rate = 100.0
        run = await house.ended(run.id)
    states = {key.path: (str(task.state), task.reason) for key, task in run.tasks.items()}
    assert str(run.state) == "succeeded"
    if is_back_in_time:
        assert states == {"first": ("succeeded", ""), "second": ("succeeded", "")}
    else:
        assert {reason for state, reason in states.values() if state != "succeeded"} == {"not-reported"}
    assert started_once(ground)


async def test_after_a_restart_tasks_are_waited_for_while_kubernetes_does_not_answer(make: Any) -> None:
    async with make() as ground:
        async with ground.house() as house:
            run = await house.submit(pair)
            run = await house.until(run.id, lambda found: found.platform_run_id is not None)
        await ground.double.ended(run.platform_run_id)
        ground.double.kube.is_down = True
        async with ground.house() as house:
            async with asyncio.timeout(60):
                while "workflows" not in ground.platform.problems():
                    await asyncio.sleep(0.01)
            await ground.platform.watcher.poll()
            await asyncio.sleep(0.1)
            assert not (await house.journal.run(run.id)).state.is_end
            ground.double.kube.is_down = False
            run = await house.ended(run.id)
    assert {str(key): task.outputs["output"].value for key, task in run.tasks.items()} == {"first": 2, "second": 3}


@pytest.mark.parametrize("placement", ["default", "require"])
async def test_a_node_that_is_deleted_before_its_task_starts_is_missed_only_by_who_requires_it(
    make: Any, placement: str
) -> None:
    async with make() as ground, ground.house(placement=placement) as house:
        ground.double.world.holding = {"first"}
        run = await house.until((await house.submit(pair)).id, is_running)
        [planned] = [task.current.node for key, task in run.tasks.items() if key.path == "second"]
        ground.double.world.quota_message = "pods is forbidden: exceeded quota: small"
        ground.double.world.holding = set()
        await house.until(run.id, lambda found: any(task.hold.startswith("quota") for task in found.tasks.values()))
        ground.double.world.pods.delete_node(planned)
        ground.double.world.quota_message = ""
        if placement == "default":
            run = await house.ended(run.id)
            assert str(run.state) == "succeeded"
        else:
            run = await house.until(run.id, lambda found: any("unsched" in task.hold for task in found.tasks.values()))
            [second] = [task for key, task in run.tasks.items() if key.path == "second"]
            assert second.hold.startswith("unschedulable")
            assert not run.state.is_end
    assert set(Counter(ground.double.world.started).values()) == {1}


async def test_a_list_that_breaks_between_pages_is_read_again_from_its_start(make: Any) -> None:
    async with make() as ground, ground.house(update_seconds=1000) as house:
        run = await house.submit(pair)
        run = await house.until(run.id, lambda found: found.platform_run_id is not None)
        [record] = ground.double.runs.values()
        for number in range(450):
            copy = type(record)(f"x{number}", f"other mlopx/x{number}", record.created_at, namespace="kubeflow")
            copy.state = "RUNNING"
            ground.double.runs[copy.id] = copy
        poller = ground.platform.watcher._pollers[""]
        before = len(ground.double.calls)
        ground.double.failing = []
        found, gone = await poller.look([record.id])
        assert record.id in found
        assert not gone
        assert len(found) >= 451
        calls = len(ground.double.calls) - before
        assert calls <= 6
        real = ground.double.calls

        class Breaking(list):  # type: ignore[type-arg]
            def append(self, call: Any) -> None:
                super().append(call)
                if len(self) == 2:
                    ground.double.failing = [500, 500, 500]

        ground.double.calls = Breaking()
        with pytest.raises(Exception, match="not well"):
            await poller.look([record.id])
        ground.double.calls = real
        ground.double.failing = []
        found, gone = await poller.look([record.id])
        assert record.id in found
        assert not gone


async def test_a_credential_that_is_refused_in_the_middle_is_no_end_of_anything(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        ground.double.world.holding = {"second"}
        run = await house.submit(pair)
        await house.until(run.id, is_running)
        ground.double.token = "another"
        async with asyncio.timeout(60):
            while "kubeflow" not in ground.platform.problems():
                await asyncio.sleep(0.01)
        assert "401" in ground.platform.problems()["kubeflow"]
        assert not (await house.journal.run(run.id)).state.is_end
        late = await house.submit(pair)
        late = await house.until(late.id, lambda found: any(task.hold for task in found.tasks.values()))
        assert any("Kubeflow refuses us: 401" in task.hold for task in late.tasks.values())
        ground.double.token = None
        ground.double.world.holding = set()
        ended = [await house.ended(one.id) for one in (run, late)]
        async with asyncio.timeout(60):
            while "kubeflow" in ground.platform.problems():
                await asyncio.sleep(0.01)
    for one in ended:
        assert str(one.state) == "succeeded"
        assert {str(key): task.outputs["output"].value for key, task in one.tasks.items()} == {"first": 2, "second": 3}
    assert len(ground.double.runs) == 2
    assert started_once(ground)


async def test_a_run_that_was_deleted_by_hand_ends_with_that_reason(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        ground.double.world.holding = {"first"}
        run = await house.submit(pair)
        run = await house.until(run.id, is_running)
        ground.double.delete(run.platform_run_id)
        run = await house.ended(run.id)
    assert str(run.state) == "failed"
    assert "deleted in Kubeflow" in run.error


async def test_a_run_that_was_stopped_by_hand_is_cancelled_with_that_reason(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        ground.double.world.holding = {"first"}
        run = await house.submit(pair)
        run = await house.until(run.id, is_running)
        ground.double.terminate(run.platform_run_id)
        run = await house.ended(run.id)
    assert str(run.state) == "cancelled"
    assert "by somebody else" in run.error
    [record] = ground.double.runs.values()
    assert [state for _, state in record.history][-2:] == ["CANCELING", "FAILED"]


async def test_a_stop_that_kubeflows_history_leaves_out_is_seen_at_the_workflow(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        ground.double.world.holding, ground.double.forgets_stops = {"first"}, True
        run = await house.until((await house.submit(pair)).id, is_running)
        ground.double.terminate(run.platform_run_id)
        run = await house.ended(run.id)
    assert str(run.state) == "cancelled"
    assert "by somebody else" in run.error
    [record] = ground.double.runs.values()
    assert "CANCELING" not in [state for _, state in record.history]


async def test_without_kubernetes_a_stop_that_was_seen_once_is_remembered(make: Any) -> None:
    async with make() as ground, ground.house(has_kube=False, update_seconds=1000.0) as house:
        run = await house.submit(pair)
        run = await house.until(run.id, lambda found: found.platform_run_id is not None)
        record = await ground.double.ended(run.platform_run_id)
        history = list(record.history)
        for state, ended in (("CANCELING", None), ("FAILED", record.finished_at)):
            record.state, record.finished_at, record.history = state, ended, history[:2]
            await ground.platform.watcher.poll()
        run = await house.ended(run.id)
    assert str(run.state) == "cancelled"


@pytest.mark.parametrize("has_kube", [True, False])
async def test_a_workflow_that_was_collected_before_we_looked_leaves_the_run_level_truth(
    has_kube: bool, make: Any
) -> None:
    async with make() as ground:
        async with ground.house(has_kube=has_kube) as house:
            run = await house.submit(pair)
            run = await house.until(run.id, lambda found: found.platform_run_id is not None)
        await ground.double.ended(run.platform_run_id)
        ground.double.collect(run.platform_run_id)
        async with ground.house(has_kube=has_kube) as house:
            run = await house.ended(run.id)
    assert str(run.state) == "succeeded"
    assert {task.reason for task in run.tasks.values() if task.state is TaskState.SKIPPED} <= {"not-reported"}


async def test_a_node_that_is_deleted_under_a_task_fails_it_with_that_reason(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        ground.double.world.holding = {"first"}
        run = await house.submit(pair)
        run = await house.until(run.id, is_running)
        [task] = [task for task in run.tasks.values() if task.state is TaskState.RUNNING]
        ground.double.world.pods.delete_node(task.current.actual_node)
        run = await house.ended(run.id)
    error = next(task.current.error for key, task in run.tasks.items() if key.path == "first")
    assert str(run.state) == "failed"
    assert error is not None
    assert (error.kind, "deleted" in error.message) == ("lost", True)


async def test_a_retry_by_kubeflow_is_a_new_attempt_with_its_own_node(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        ground.double.world.holding = {"only"}
        run = await house.submit(tough)
        run = await house.until(run.id, is_running)
        first = next(iter(run.tasks.values())).current.actual_node
        ground.double.world.holding = set()
        ground.double.world.pods.delete_node(first)
        run = await house.ended(run.id)
    [task] = run.tasks.values()
    assert str(run.state) == "succeeded"
    assert [str(attempt.state) for attempt in task.attempts] == ["lost", "succeeded"]
    assert task.attempts[0].actual_node == first
    assert task.attempts[1].actual_node not in (None, first)


@pytest.mark.parametrize(
    ("order", "word"),
    [
        (
            lambda ground: setattr(ground.double.world, "quota_message", "pods is forbidden: exceeded quota: small"),
            "quota",
        ),
        (lambda ground: ground.double.world.pods.broken_images.add("python:3.11"), "image"),
        (
            lambda ground: ground.double.world.pods.broken_setups.update(
                {"python:3.11": ("CreateContainerConfigError", 'secret "keys" not found')}
            ),
            "container: CreateContainerConfigError on node",
        ),
        (lambda ground: [setattr(node, "cpu", "50m") for node in ground.double.world.pods.nodes], "unschedulable"),
    ],
)
async def test_it_says_why_a_task_waits(order: Any, word: str, make: Any) -> None:
    async with make() as ground:
        ground.double.world.has_driver_pods = False
        async with ground.house() as house:
            order(ground)
            run = await house.submit(waiting if word == "unschedulable" else pair)
            run = await house.until(
                run.id, lambda found: any(task.hold.startswith(word) for task in found.tasks.values())
            )
            if word != "quota":
                async with asyncio.timeout(60):
                    while not any(note.startswith(word) for note in noted(ground)):
                        await asyncio.sleep(0.01)


def noted(ground: Any) -> list[str]:
    """What is written on pods of what their tasks wait for."""
    pods = ground.double.kube.objects.all("pods")
    return [pod["metadata"]["annotations"].get("mlopx.dev/waiting", "") for pod in pods]


def no_room(ground: Any) -> None:
    for node in ground.double.world.pods.nodes:
        node.cpu = "50m"


def room(ground: Any) -> None:
    for node in ground.double.world.pods.nodes:
        node.cpu = "2"
    ground.double.world.pods.changed()


def no_image(ground: Any) -> None:
    ground.double.world.pods.broken_images.add("driver")


def image(ground: Any) -> None:
    ground.double.world.pods.broken_images.clear()
    ground.double.world.pods.changed()


@pytest.mark.parametrize(
    ("breaks", "mends", "words"),
    [(no_room, room, "driver: unschedulable: 0/2 nodes"), (no_image, image, "driver: image: ImagePullBackOff on node")],
)
@pytest.mark.parametrize("is_later", [False, True], ids=["of the whole run", "of one task"])
async def test_a_task_says_that_it_waits_for_its_drivers_pod(
    make: Any, breaks: Any, mends: Any, words: str, is_later: bool
) -> None:
    async with make() as ground, ground.house() as house:
        waits, other = ("second", "first") if is_later else ("first", "second")
        if is_later:
            ground.double.world.holding = {"first"}
            run = await house.until((await house.submit(pair)).id, is_running)
            breaks(ground)
            ground.double.world.holding = set()
        else:
            breaks(ground)
            run = await house.submit(pair)
        run = await house.until(run.id, lambda found: any(task.hold.startswith(words) for task in found.tasks.values()))
        holds = {key.path: task.hold for key, task in run.tasks.items()}
        assert holds[waits].startswith(words)
        assert not holds[other].startswith("driver"), "it waits for something else, or ran"
        events = len(ground.store.events(run_id=run.id))
        for _ in range(5):
            ground.platform.watcher.digest(run.platform_run_id)
        await asyncio.sleep(0.1)
        assert len(ground.store.events(run_id=run.id)) == events, "what was told is not told again and again"
        mends(ground)
        run = await house.ended(run.id)
    assert str(run.state) == "succeeded"
    assert started_once(ground)


async def test_a_namespace_that_was_opted_out_is_not_written_to(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        ground.double.world.has_driver_pods = False
        for node in ground.double.world.pods.nodes:
            node.cpu = "50m"
        ground.platform.modes[""].mode = "observe"
        ground.platform.modes[""].require_place = lambda: None  # a run from before
        run = await house.submit(waiting)
        await house.until(run.id, lambda found: any("unschedulable" in task.hold for task in found.tasks.values()))
        await asyncio.sleep(0.1)
    assert {call.verb for call in ground.double.kube.calls} <= {"get", "list", "watch"}


@component(cpu=1)
def heavy(a: int = 0) -> int:
    return a


@pipeline
def waiting():
    heavy(a=1).named("heavy")


@pytest.fixture
def nodes(request: pytest.FixtureRequest) -> list[VirtualNode]:
    """The double's nodes."""
    return [VirtualNode("one", cpu="2"), VirtualNode("two", cpu="2")]
