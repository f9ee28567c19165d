"""The client's guide as one definition file."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

SERVER_BLOCK = "<!-- against a server -->\n"


@pytest.fixture
def guide(project_root: Path, tmp_path: Path) -> Iterator[ModuleType]:
    """All Python of the guide, but for what needs a server, in one imported file."""
    text = (project_root / "client" / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(rf"({SERVER_BLOCK})?```python\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "guide.py"
    path.write_text("\n\n".join(code for needs_server, code in blocks if not needs_server), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("guide", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["guide"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["guide"]
