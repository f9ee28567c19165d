"""What `/readyz` tells: each part, whether it works, and what is wrong with it in words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from server.bootstrap.engine import Engine
from server.bootstrap.ground import Ground
from server.bootstrap.world import World
from server.components.decision_unit import DecisionUnit
from server.components.supervisor import Check
from server.domain.errors import MlopxError


def checks_of(ground: Ground, world: World, engine: Engine) -> Callable[[], Awaitable[dict[str, Check]]]:
    """The question, to be asked whenever somebody wants to know."""
    platform, unit, scheduler = world.platform, engine.decision_unit, engine.scheduler

    async def checks() -> dict[str, Check]:
        found = engine.supervisor.checks()
        try:
            await asyncio.to_thread(ground.store.ping)
            found["database"] = Check(True)
        except MlopxError as error:
            found["database"] = Check(False, error.message)
        for name, problem in world.node_manager.problems().items():
            found[f"nodes:{name}"] = Check(False, problem)
        for part, problem in platform.problems().items():
            found[f"{platform.name}:{part}"] = Check(False, problem)
        placer = placer_check(unit, scheduler.last_problem)
        if placer is not None:
            found["placer"] = placer
        return found

    return checks


def placer_check(unit: DecisionUnit, last_problem: str | None) -> Check | None:
    """How the strategy is, if there is something to say. One that is loaded or compiled has not failed; once that is
    over all is well, even before the next decision."""
    if not unit.is_ready:
        return Check(False, unit.preparing)
    failed = unit.fallbacks - unit.failures["cold"]
    if unit.last_failure is not None and unit.last_failure != "cold":
        return Check(False, f"the strategy failed {_times(failed)}, last: {last_problem}")
    said = [f"the strategy failed {_times(failed)}, last: earlier"] if failed else []
    if unit.failures["cold"]:
        said.append(f"{unit.stand_in} answered {_times(unit.failures['cold'])} while it got ready")
    return Check(True, "; ".join(said)) if said else None


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


__all__ = ["checks_of", "placer_check"]
