"""What `/readyz` tells: each part, whether it works, and what is wrong with it in words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from server.bootstrap.engine import Engine
from server.bootstrap.ground import Ground
from server.bootstrap.world import World
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
        if unit.failures:
            detail = f"the strategy failed {unit.fallbacks} times, last: {scheduler.last_problem or 'earlier'}"
            found["placer"] = Check(scheduler.last_problem is None, detail)
        return found

    return checks


__all__ = ["checks_of"]
