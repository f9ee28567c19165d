"""A multi-user Kubeflow: whoever asks shows its own credential, and nothing is done there as this server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from mlopx import component, pipeline
from server.components import dispatcher
from server.components.pipeline_manager import Submission
from server.domain.errors import ConflictError, ForbiddenError, PlatformError, UnauthorizedError
from server.domain.run import Run
from server.domain.states import TaskState
from server.platforms.kubeflow.callers import Callers
from server.platforms.kubeflow.client import KfpClient
from server.platforms.kubeflow.identity import Identity
from server.platforms.kubeflow.namespaces import Namespaces
from server.testing.house import House
from server.testing.kfp import KubeflowDouble
from server.testing.kfp.api import LostAnswerError

SERVER, ADA, EVE = "mlopx@example.org", "ada@example.org", "eve@example.org"
RIGHTS = {SERVER: {"team"}, ADA: {"team"}, EVE: {"other"}}


@component
def step(a: int = 0) -> int:
    print("step", a)
    return a


@pipeline
def single():
    step(a=1).named("only")


def shows(user: str) -> dict[str, str]:
    return {"kubeflow-userid": user, "accept": "*/*"}


@dataclass
class Team:
    """A server in the namespace of a team."""

    ground: Any
    house: House

    @property
    def double(self) -> KubeflowDouble:
        found: KubeflowDouble = self.ground.double
        return found

    async def submit(self, user: str = ADA) -> Run:
        return await self.house.pipeline_manager.submit(Submission(single.build(), caller=shows(user)))

    async def running(self) -> Run:
        """A run of Ada's that does not end by itself."""
        self.double.world.holding = {"only"}
        run = await self.submit()
        return await self.house.until(
            run.id, lambda found: any(task.state is TaskState.RUNNING for task in found.tasks.values())
        )

    def changers(self) -> set[str]:
        """Who changed anything in Kubeflow."""
        return {call.user for call in self.double.calls if call.method != "GET"}


@pytest.fixture
def team(make: Any) -> Any:
    @asynccontextmanager
    async def one() -> AsyncIterator[Team]:
        async with make() as ground:
            ground.double.is_multi_user, ground.double.rights = True, RIGHTS
            async with ground.house(namespaces=Namespaces(("team",)), headers={"kubeflow-userid": SERVER}) as house:
                yield Team(ground, house)

    return one


async def test_a_run_is_made_read_and_put_away_as_who_asks(team: Any) -> None:
    async with team() as one:
        run = await one.house.ended((await one.submit()).id)
        assert str(run.state) == "succeeded"
        await one.ground.platform.look_as(run, shows(ADA))
        await one.house.pipeline_manager.archive(run.id, caller=shows(ADA))
    [record] = one.double.runs.values()
    assert (record.user, record.storage_state) == (ADA, "ARCHIVED")
    assert one.changers() == {ADA}


async def test_nothing_is_run_while_it_is_unknown_whether_callers_show_credentials(make: Any) -> None:
    async with make() as ground:
        double = ground.double
        double.is_multi_user, double.rights, double.is_health_hidden = True, RIGHTS, True
        async with ground.house(namespaces=Namespaces(("team",)), headers={"kubeflow-userid": SERVER}) as house:
            one = Team(ground, house)
            run = await one.submit()
            waiting = await house.until(
                run.id, lambda found: any("credentials" in (t.hold or "") for t in found.tasks.values())
            )
            assert str(waiting.state) == "waiting"
            assert not double.runs
            double.is_health_hidden = False
            assert str((await house.ended(run.id)).state) == "succeeded"
    assert one.changers() == {ADA}


async def test_a_run_is_stopped_as_who_asks(team: Any) -> None:
    async with team() as one:
        run = await one.running()
        await one.house.pipeline_manager.cancel(run.id, caller=shows(ADA))
        run = await one.house.ended(run.id)
    assert str(run.state) == "cancelled"
    assert one.changers() == {ADA}


@pytest.mark.parametrize(
    ("caller", "refusal"), [({}, UnauthorizedError), (shows("nobody"), ForbiddenError), (shows(EVE), ForbiddenError)]
)
async def test_who_has_no_right_there_has_none_here(team: Any, caller: Any, refusal: type[Exception]) -> None:
    async with team() as one:
        run = await one.running()
        manager, platform = one.house.pipeline_manager, one.ground.platform
        with pytest.raises(refusal):
            await manager.cancel(run.id, caller=caller)
        with pytest.raises(refusal):
            await platform.look_as(run, caller)
        kept = await one.house.journal.run(run.id)
        assert kept.cancel_requested_at is None
        await manager.cancel(run.id, caller=shows(ADA))
        run = await one.house.ended(run.id)
        with pytest.raises(refusal):
            await manager.archive(run.id, caller=caller)
        with pytest.raises(UnauthorizedError):
            await manager.retry(run.id, caller={})
    assert SERVER not in one.changers()
    assert [record.storage_state for record in one.double.runs.values()] == ["AVAILABLE"]


async def test_a_credential_that_is_refused_ends_the_run_with_that_reason(team: Any) -> None:
    async with team() as one:
        run = await one.house.ended((await one.submit(EVE)).id)
    assert str(run.state) == "failed"
    assert "Kubeflow refuses the caller: 403" in run.error
    assert not one.double.runs


async def test_a_run_that_waits_here_is_cancelled_by_who_has_a_right_in_the_namespace(team: Any) -> None:
    async with team() as one:
        one.double.is_down = True
        one.double.world.holding = {"only"}  # handed over as soon as Kubeflow is back, perhaps before it is cancelled
        run = await one.submit()
        with pytest.raises(PlatformError):
            await one.house.pipeline_manager.cancel(run.id, caller=shows(ADA))
        one.double.is_down = False
        with pytest.raises(ForbiddenError):
            await one.house.pipeline_manager.cancel(run.id, caller=shows(EVE))
        await one.house.pipeline_manager.cancel(run.id, caller=shows(ADA))
        run = await one.house.ended(run.id)
    assert str(run.state) == "cancelled"
    assert one.changers() <= {ADA}


async def test_a_stop_before_a_restart_is_not_asked_for_again_as_the_server(make: Any) -> None:
    async with make() as ground:
        ground.double.is_multi_user, ground.double.rights = True, RIGHTS
        options: dict[str, Any] = {"namespaces": Namespaces(("team",)), "headers": {"kubeflow-userid": SERVER}}
        async with ground.house(**options) as house:
            one = Team(ground, house)
            run = await one.running()
        async with ground.house(**options) as house:
            await house.pipeline_manager.cancel(run.id, caller=shows(ADA))
        async with ground.house(**options) as house:
            run = await house.ended(run.id)
    assert str(run.state) == "cancelled"
    assert one.changers() == {ADA}


async def test_a_stop_whose_credential_was_lost_in_a_crash_is_asked_for_again(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who accepted a new placement was to stop the old run; the server died before."""
    monkeypatch.setattr(dispatcher, "CANCEL_AGAIN_SECONDS", 0.05)
    async with make() as ground:
        ground.double.is_multi_user, ground.double.rights = True, RIGHTS
        options: dict[str, Any] = {"namespaces": Namespaces(("team",)), "headers": {"kubeflow-userid": SERVER}}
        async with ground.house(**options) as house:
            one = Team(ground, house)
            run = await one.running()
            await ground.platform.stop_as(run, shows(ADA), is_later=True)
        async with ground.house(**options) as house:
            await house.pipeline_manager.stop_replaced(run.id, "single-new")
            async with asyncio.timeout(60):
                while "stopping" not in ground.platform.problems():
                    await asyncio.sleep(0.01)
            said = ground.platform.problems()["stopping"]
            assert said == f"nobody's credential is at hand to stop run {run.id} in Kubeflow: cancel it again"
            assert not (await house.journal.run(run.id)).state.is_end
            await house.pipeline_manager.cancel(run.id, caller=shows(ADA))
            run = await house.ended(run.id)
            async with asyncio.timeout(60):
                while "stopping" in ground.platform.problems():
                    await asyncio.sleep(0.01)
    assert str(run.state) == "cancelled"
    assert one.changers() == {ADA}


async def test_a_retry_is_a_new_run_that_is_placed_anew_as_who_asks(team: Any) -> None:
    async with team() as one:
        run = await one.running()
        manager = one.house.pipeline_manager
        await manager.cancel(run.id, caller=shows(ADA))
        await one.house.ended(run.id)
        one.double.world.holding = set()
        theirs = await one.house.ended((await manager.retry(run.id, caller=shows(EVE))).run.id)
        again = await one.house.ended((await manager.retry(run.id, caller=shows(ADA))).run.id)
        _, record = one.double.runs.values()
    assert "Kubeflow refuses the caller: 403" in theirs.error
    assert (str(again.state), again.retry_of, again.platform_run_id) == ("succeeded", run.id, record.id)
    assert (record.user, record.namespace) == (ADA, "team")
    [task] = again.tasks.values()
    assert task.current.node in ("one", "two")
    assert task.current.actual_node in ("one", "two")
    assert SERVER not in one.changers()


async def test_a_run_that_another_replaces_is_stopped_as_who_accepted_that(team: Any) -> None:
    async with team() as one:
        run = await one.running()
        with pytest.raises(ForbiddenError):
            await one.ground.platform.stop_as(run, shows(EVE), is_later=True)
        await one.ground.platform.stop_as(run, shows(ADA), is_later=True)
        [record] = one.double.runs.values()
        assert record.state == "RUNNING"
        await one.house.pipeline_manager.stop_replaced(run.id, "single-new")
        run = await one.house.ended(run.id)
    assert str(run.state) == "cancelled"
    assert one.changers() == {ADA}


async def test_in_single_user_mode_everybody_may(make: Any) -> None:
    async with make() as ground, ground.house() as house:
        ground.double.world.holding = {"only"}
        run = await house.submit(single)
        waiting = await house.until(run.id, lambda found: found.platform_run_id is not None)
        await ground.platform.look_as(waiting, {})
        with pytest.raises(ConflictError, match="is still"):
            await house.pipeline_manager.archive(run.id, caller={})
        ground.double.world.holding = set()
        run = await house.ended(run.id)
        await house.pipeline_manager.archive(run.id, caller={})
        [record] = ground.double.runs.values()
    assert record.storage_state == "ARCHIVED"


def test_this_servers_own_token_is_nobodys_credential() -> None:
    client = KfpClient("http://127.0.0.1:9", identity=Identity(), now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    callers = Callers(client, namespaces=Namespaces(("team",)), user_header="kubeflow-userid", own_token="ours")
    with pytest.raises(UnauthorizedError):
        callers.shown_by({"authorization": "Bearer ours"})
    theirs = {"authorization": "Bearer ours", "kubeflow-authorization": "Bearer theirs"}
    assert callers.shown_by(theirs) == {"authorization": "Bearer theirs"}
    assert callers.shown_by({"Authorization": "Bearer other"}) == {"authorization": "Bearer other"}
    assert callers.shown_by({"cookie": "session=1", "authorization": "Bearer ours"}) == {"cookie": "session=1"}


@pytest.mark.parametrize("is_made", [True, False])
async def test_over_a_restart_what_its_caller_made_is_found_and_else_refused(make: Any, is_made: bool) -> None:
    async with make() as ground:
        double = ground.double
        double.is_multi_user, double.rights = True, {**RIGHTS}
        options: dict[str, Any] = {"namespaces": Namespaces(("team",)), "headers": {"kubeflow-userid": SERVER}}
        real = double.create

        def create(body: Any, **more: Any) -> Any:
            if is_made:
                real(body, **more)
            raise LostAnswerError

        double.create = create
        async with ground.house(**options) as house:
            run = await house.until(
                (await Team(ground, house).submit()).id,
                lambda found: any("may have taken it" in task.hold for task in found.tasks.values()),
            )
        async with ground.house(**options) as house:
            run = await house.ended(run.id)
    assert str(run.state) == ("succeeded" if is_made else "failed")
    assert ("credential was not kept" in (run.error or "")) is not is_made
    assert {record.user for record in double.runs.values()} == ({ADA} if is_made else set())
