"""A run that waits in vain is offered a new placement; it is carried out unasked only where nothing runs twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from mlopx import component, pipeline
from server.components.cycle import CycleSettings
from server.components.pipeline_manager import Submission
from server.components.replacing import Replacer
from server.components.shadowing import Shadowing
from server.domain.errors import ConflictError
from server.domain.run import Run
from server.domain.states import TaskState
from server.testing.house import House


@component
def step(a: int = 0, b: int = 0) -> int:
    return a + b


@pipeline
def pair():
    first = step(a=7, b=1).named("first")
    step(a=first.output, b=1).named("second")


@pipeline
def other():
    step(a=50, b=1).named("only")


def replacer(ground: Any, house: House) -> Replacer:
    scheduler = house.scheduler
    shadowing = Shadowing(
        scheduler._decision_unit, scheduler._node_manager, scheduler._estimate, ground.clock, CycleSettings()
    )
    found = Replacer(
        journal=house.journal,
        starts=shadowing.starts,
        replace=house.pipeline_manager.replace,
        stop=house.pipeline_manager.stop_replaced,
        defaults=ground.platform.defaults,
        clock=ground.clock,
        patience_seconds=0.01,
        is_acting=lambda: ground.platform.may_act,
    )
    house.journal.listen(found.notice)
    return found


async def stuck_run(ground: Any, house: House, *, is_caching: bool) -> Run:
    """A run whose second task is pinned to a node that was cordoned meanwhile."""
    ground.double.world.holding = {"first"}
    run = await house.pipeline_manager.submit(Submission(pair.build(), is_caching=is_caching))
    await house.until(run.id, lambda found: any(task.state is TaskState.RUNNING for task in found.tasks.values()))
    planned = {key.path: task.current.node for key, task in (await house.journal.run(run.id)).tasks.items()}
    [node] = [node for node in ground.double.world.pods.nodes if node.name == planned["second"]]
    node.is_schedulable = False
    ground.double.kube.objects.put("nodes", node.object())
    await house.scheduler._node_manager.refresh()
    ground.double.world.holding = set()
    return await house.until(
        run.id, lambda found: any(task.hold.startswith("unschedulable") for task in found.tasks.values())
    )


def times_started(ground: Any) -> Counter[str]:
    return Counter(path.split(".")[1] for _, path in ground.double.world.started)


async def looked(found: Replacer, house: House, run: Run) -> Run:
    """The run after looks until something is offered."""
    async with asyncio.timeout(60):
        while run.offer is None:
            await found.look()
            run = await house.journal.run(run.id)
            await asyncio.sleep(0.01)
    return run


async def test_it_is_offered_with_its_doubts_and_waits_for_somebody_to_accept(make: Any) -> None:
    async with make() as ground, ground.house(max_hold_seconds=0, placement="require") as house:
        run = await stuck_run(ground, house, is_caching=False)
        run = await looked(replacer(ground, house), house, run)
        assert run.offer is not None
        [second] = [task for key, task in run.tasks.items() if key.path == "second"]
        assert run.offer.nodes == {"second": "two" if second.current.node == "one" else "one"}
        assert "task first is finished and not cached: it would run again" in run.offer.doubts
        assert "unschedulable" in run.offer.reason
        assert len(ground.double.runs) == 1
        new = await house.pipeline_manager.replace(run.id)
        old, new = await house.ended(run.id), await house.ended(new.id)
        with pytest.raises(ConflictError):
            await house.pipeline_manager.replace(run.id)
    assert (str(old.state), str(new.state), old.replaced_by, new.retry_of) == ("cancelled", "succeeded", new.id, old.id)
    assert new.dispatched_at is not None
    assert old.finished_at is not None
    assert new.dispatched_at >= old.finished_at - timedelta(seconds=1), "the new run waits until the old one stopped"
    assert times_started(ground)["second"] == 1


async def test_it_acts_by_itself_where_all_that_is_finished_comes_from_the_cache(make: Any) -> None:
    async with make() as ground, ground.house(max_hold_seconds=0, placement="require") as house:
        found = replacer(ground, house)
        for _ in range(2):
            proof = await house.pipeline_manager.submit(Submission(other.build(), is_caching=True))
            await house.ended(proof.id)
        assert found.has_seen_cache
        run = await stuck_run(ground, house, is_caching=True)
        run = await looked(found, house, run)
        assert run.offer is not None
        assert run.offer.doubts == ()
        old = await house.ended(run.id)
        new = await house.ended(old.replaced_by)
    assert (str(old.state), str(new.state)) == ("cancelled", "succeeded")
    assert {key.path: task.from_cache for key, task in new.tasks.items()} == {"first": True, "second": False}
    assert times_started(ground) == {"only": 1, "first": 1, "second": 1}


async def test_an_offer_that_two_accept_at_once_makes_one_new_run(make: Any) -> None:
    async with make() as ground, ground.house(max_hold_seconds=0, placement="require") as house:
        run = await looked(replacer(ground, house), house, await stuck_run(ground, house, is_caching=False))
        first, second = await asyncio.gather(*(house.pipeline_manager.replace(run.id) for _ in range(2)))
        assert first.id == second.id
        assert str((await house.ended(first.id)).state) == "succeeded"
    assert len(ground.double.runs) == 2


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_crash_between_the_two_runs_leaves_one_that_waits_until_the_other_is_stopped(
    make: Any, is_cancelled: bool
) -> None:
    async with make() as ground, ground.house(max_hold_seconds=0, placement="require") as house:
        found = replacer(ground, house)
        run = await looked(found, house, await stuck_run(ground, house, is_caching=False))
        stop, house.pipeline_manager.stop_replaced = house.pipeline_manager.stop_replaced, _nothing  # type: ignore[method-assign]  # dies
        new = await house.pipeline_manager.replace(run.id)
        house.pipeline_manager.stop_replaced = stop  # type: ignore[method-assign]  # back again
        await house.scheduler.cycle()
        assert (await house.journal.run(new.id)).dispatched_at is None
        if is_cancelled:
            await house.pipeline_manager.cancel(new.id)
            await found.look()
            assert not (await house.journal.run(run.id)).state.is_end, "nothing would take its place"
            new = await house.pipeline_manager.replace(run.id)
        await found.look()
        assert str((await house.ended(run.id)).state) == "cancelled"
        assert str((await house.ended(new.id)).state) == "succeeded"
    assert len(ground.double.runs) == 2


async def _nothing(*given: Any, **more: Any) -> None:
    """As if the server had died here."""
