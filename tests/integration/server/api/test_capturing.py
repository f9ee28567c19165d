"""The queue as a problem file, over HTTP and by `mlopx-server capture`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.exchange.reading import read_question

MakeSpec = Callable[..., dict[str, Any]]


async def command(folder: Path, root: Path, *arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from server.cli import main; main()",
        *arguments,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'client' / 'src'}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert b"Traceback" not in out + err
    return process.returncode, out.decode(), err.decode()


async def test_a_waiting_queue_can_be_taken_away_and_solved(
    serve: Any, make_spec: MakeSpec, tmp_path: Path, project_root: Path
) -> None:
    async with serve() as api:
        held = await api.run(make_spec(gpu=True))
        await api.held(held["id"])
        found = await api.get("/api/v1/queue/problem")
    assert [node["name"] for node in found["nodes"]] == ["quick", "slow", "rented"]
    assert [task["name"] for task in found["tasks"]] == [f"{held['id']}/greet"]
    assert list(found["tasks"][0]["run_seconds"]) == ["rented"]
    assert found["tasks"][0]["requests"]["accelerators"] == {"nvidia.com/gpu": 1.0}
    path = tmp_path / "queue.json"
    path.write_text(json.dumps(found))
    assert read_question(path).runs == (held["id"],)
    ended, out, err = await command(tmp_path, project_root, "solve", "queue.json", "--placer", "heft", "--json")
    assert ended == 0, err
    assert json.loads(out)["tasks"][0]["node"] == "rented"


async def test_nothing_answers_where_no_server_is(tmp_path: Path, project_root: Path) -> None:
    ended, _, err = await command(tmp_path, project_root, "capture", "-o", "q.json", "--url", "http://127.0.0.1:9")
    assert ended != 0
    assert "no MLOpX server answers at http://127.0.0.1:9" in err
    assert not (tmp_path / "q.json").exists()
