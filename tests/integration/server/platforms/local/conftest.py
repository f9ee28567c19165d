"""A local platform with real agents, in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.testing.local_ground import Opener, opener


@pytest.fixture
def ground(tmp_path: Path) -> Opener:
    """Opens a platform: `async with ground() as it`."""
    return opener(tmp_path / "state")
