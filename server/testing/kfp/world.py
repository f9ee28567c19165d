"""What all runs of the double share: nodes and pods, the cache, volumes, secrets, and what the test ordered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from server.testing.kfp.pods import Pods
from server.testing.kfp.values import Values


@dataclass(slots=True)
class World:
    """The double's surroundings.

    `holding` names tasks that start and do not end while they are in it; `quota_message` keeps pods from being made
    while it is set; `fetch_seconds` is how long the launcher fetches inputs. `outputs` and `started` are what really
    happened, for tests to compare. `has_exit_hooks`: as servers since 2.5 run what runs whatever happened.
    """

    pods: Pods
    folder: Path
    now: Callable[[], datetime]
    volumes: dict[str, Path] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    cache: dict[str | None, Values] = field(default_factory=dict)
    outputs: dict[tuple[str, str], Values] = field(default_factory=dict)
    started: list[tuple[str, str]] = field(default_factory=list)
    holding: set[str] = field(default_factory=set)
    quota_message: str = ""
    fetch_seconds: float = 0.0
    has_driver_pods: bool = True
    has_exit_hooks: bool = True

    async def quota(self, waits: Callable[[str], None]) -> None:
        """Wait while the namespace may have no more pods; says so each time it looks."""
        while self.quota_message:
            waits(self.quota_message)
            await asyncio.sleep(0.01)
