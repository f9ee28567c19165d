"""One task of a run, run again in this process with the inputs it had: what it gives, and how its failure is told."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

Api = Any
Command = Callable[..., Any]
Said = Callable[..., str]
RUN = "churn-vpud6est2e"
LAUNCH, CONTENT = "GET /api/v1/runs/{run_id}/launch", "GET /api/v1/runs/{run_id}/artifacts/content"
PATH = "    from pathlib import Path\n"
READ = f"def use(data):\n{PATH}    return Path(data.path).read_text()\n"
TEXT = {"kind": "parameter", "type": "str"}
DATA = {"kind": "artifact", "type": "Dataset", "is_list": False}


@pytest.fixture(autouse=True)
def _folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def launch(api: Api, source: str, inputs: dict[str, Any], arguments: dict[str, Any], **outputs: Any) -> dict[str, Any]:
    """The example's launch, of a function `use` of this source."""
    found: dict[str, Any] = api.example(LAUNCH)
    code = {"kind": "function", "source": source, "entrypoint": "use"}
    component = {"name": "use", "code": code, "inputs": inputs, "outputs": {"output": TEXT, **outputs}}
    return {**found, "component": component, "arguments": arguments}


def an_artifact(**more: Any) -> dict[str, Any]:
    link = f"/api/v1/runs/{RUN}/artifacts/content?task=load&port=data"
    return {"kind": "artifact", "type": "Dataset", "download": link, "metadata": {}, **more}


def a_tar(**files: bytes) -> httpx.Response:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return httpx.Response(200, content=packed.getvalue(), headers={"content-type": "application/x-tar"})


def test_a_task_runs_here_with_its_values_and_tells_what_it_gave(said: Said) -> None:
    first, last = said("rerun", RUN, "greet", "--local", columns=200).splitlines()
    assert first.startswith(f"running greet of {RUN} here, in ")
    assert last == 'it succeeded: {"output": "hello world"}'


def test_an_artifact_is_fetched_and_lies_where_the_function_looks(api: Api, said: Said) -> None:
    api.says(LAUNCH, launch(api, READ, {"data": DATA}, {"data": an_artifact()}))
    api.says(CONTENT, b"some rows")
    assert 'it succeeded: {"output": "some rows"}' in said("rerun", RUN, "use", "--local", columns=200)
    assert api.asked[-1].url.params["task"] == "load"


def test_a_folder_is_unpacked(api: Api, said: Said) -> None:
    source = "def use(data):\n    import os\n    return ' '.join(sorted(os.listdir(data.path)))\n"
    api.says(LAUNCH, launch(api, source, {"data": DATA}, {"data": an_artifact()}))
    api.says(CONTENT, a_tar(a=b"1", b=b"2"))
    assert '{"output": "a b"}' in said("rerun", RUN, "use", "--local", columns=200)


def test_a_fan_in_takes_all_artifacts_in_order_also_none(api: Api, said: Said) -> None:
    source = f"def use(parts):\n{PATH}    return ','.join(Path(part.path).read_text() for part in parts)\n"
    declared = {"parts": {**DATA, "is_list": True}}
    several = {"kind": "artifacts", "items": [an_artifact(), an_artifact()]}
    api.says(LAUNCH, launch(api, source, declared, {"parts": several}))
    api.says(CONTENT, b"one", b"two")
    assert '{"output": "one,two"}' in said("rerun", RUN, "use", "--local", columns=200)
    api.says(LAUNCH, launch(api, source, declared, {"parts": {"kind": "parameter", "value": []}}))
    assert '{"output": ""}' in said("rerun", RUN, "use", "--local", columns=200)


def test_an_artifact_that_it_writes_is_told_by_its_path(api: Api, said: Said) -> None:
    source = f"def use(model):\n{PATH}    Path(model.path).write_text('weights')\n    return 'done'\n"
    model = {"kind": "artifact", "type": "Model"}
    api.says(LAUNCH, launch(api, source, {}, {}, model=model))
    text = said("rerun", RUN, "use", "--local", columns=200)
    path = text.split('"model": "')[1].split('"')[0]
    assert Path(path).read_text() == "weights"


def test_what_lies_in_a_volume_is_looked_for_where_the_environment_says(
    api: Api, said: Said, mlopx_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"kind": "volume-path", "volume": "my-data", "path": "iris.csv"}
    api.says(
        LAUNCH,
        launch(api, f"def use(path):\n{PATH}    return Path(path).read_text()\n", {"path": TEXT}, {"path": given}),
    )
    ended = mlopx_command("rerun", RUN, "use", "--local")
    assert ended.exit_code == 2
    assert "volume 'my-data' has no 'iris.csv' on this machine" in ended.stderr
    assert "set MLOPX_VOLUME_MY_DATA to its folder" in ended.stderr
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "iris.csv").write_text("petals")
    monkeypatch.setenv("MLOPX_VOLUME_MY_DATA", str(tmp_path / "elsewhere"))
    assert '{"output": "petals"}' in said("rerun", RUN, "use", "--local", columns=200)


def test_a_task_that_fails_here_too_says_why_and_how_to_stop_there(api: Api, mlopx_command: Command) -> None:
    api.says(LAUNCH, launch(api, "def use():\n    raise ValueError('bad luck')\n", {}, {}))
    ended = mlopx_command("rerun", RUN, "use", "--local")
    assert ended.exit_code == 5
    assert "ValueError: bad luck\n\nerror: task use failed here too: bad luck" in ended.stderr
    assert f"hint: stop where it fails: mlopx rerun {RUN} use --local --pdb" in ended.stderr


def test_a_container_cannot_be_run_here(api: Api, mlopx_command: Command) -> None:
    found = launch(api, "", {}, {})
    found["component"]["code"] = {"kind": "container", "command": ["true"], "args": []}
    api.says(LAUNCH, found)
    ended = mlopx_command("rerun", RUN, "use", "--local")
    assert ended.exit_code == 2
    assert "task use is a container's command; only Python functions can be run here" in ended.stderr


def test_that_it_runs_here_has_to_be_said(api: Api, mlopx_command: Command) -> None:
    ended = mlopx_command("rerun", RUN, "greet")
    assert (ended.exit_code, api.asked) == (2, [])
    assert "say --local" in ended.stderr


def test_the_debugger_stops_where_it_fails(api: Api, mlopx_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[Any] = []
    monkeypatch.setattr("pdb.post_mortem", stopped.append)
    api.says(LAUNCH, launch(api, "def use():\n    raise ValueError('bad luck')\n", {}, {}))
    ended = mlopx_command("rerun", RUN, "use", "--local", "--pdb")
    assert "ValueError: bad luck" in ended.stderr
    while stopped[0].tb_next is not None:
        stopped[0] = stopped[0].tb_next
    assert stopped[0].tb_frame.f_code.co_name == "use"


def test_with_the_debugger_a_task_that_does_not_fail_says_so(said: Said) -> None:
    assert said("rerun", RUN, "greet", "--local", "--pdb", columns=200).endswith("it succeeded here\n")
