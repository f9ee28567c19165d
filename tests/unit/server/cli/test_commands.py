"""The `mlopx-server` command: what it prints, how it ends, and that bad input never shows a traceback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from server import __version__
from server.settings import Settings, variable

Command = Callable[..., "subprocess.CompletedProcess[str]"]
COMMANDS = {"serve", "config", "check", "placers", "placer", "version", "solve", "capture"}


@pytest.fixture
def command(project_root: Path, tmp_path: Path) -> Command:
    """Runs `mlopx-server` with a state folder of its own; checks that no traceback is shown."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [sys.executable, "-c", "from server.cli import main; main()", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(project_root), "STATE_DIR": str(tmp_path / "state"), **settings},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert "Traceback" not in ended.stderr + ended.stdout, ended.stderr
        return ended

    return run


def test_help_lists_every_command(command: Command) -> None:
    ended = command("--help")
    assert ended.returncode == 0
    assert set(ended.stdout.split("Commands:")[1].split()) >= COMMANDS


def test_a_small_command_does_not_wait_for_what_others_stand_on(project_root: Path) -> None:
    code = "import sys; from server.cli.app import app; app(['version'], standalone_mode=False); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=project_root, capture_output=True, text=True, check=True)
    said, loaded = ended.stdout.split("\n", 1)
    assert said == __version__
    assert not {"numpy", "mlopx", "server.settings"} & set(loaded.split())


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(command: Command, name: str) -> None:
    ended = command(name, "--help")
    assert ended.returncode == 0
    assert name in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["simulat"], "Did you mean 'simulate'"),
        (["config", "--loud"], "No such option: --loud"),
        (["serve", "--port", "http"], "Invalid value for '--port'"),
        (["serve", "--port", "70000"], "Invalid value for '--port'"),
        (["serve", "--port", "0"], "Invalid value for '--port'"),
        (["solve"], "give a problem file, or --kube-events FILE"),
        (["solve", "problem.json", "--kube-events", "events.json"], "give a problem file, or --kube-events FILE"),
        (["solve", "gone.json"], "gone.json: No such file or directory"),
        (["solve", "gone.json", "--time-limit", "-1"], "Invalid value for '--time-limit'"),
        (["solve", "--kube-events", "gone.json"], "gone.json: No such file or directory"),
        (["version", "now"], "unexpected extra argument"),
    ],
)
def test_a_command_line_that_cannot_be_read_ends_with_two(command: Command, arguments: list[str], says: str) -> None:
    ended = command(*arguments)
    assert ended.returncode == 2
    assert says in ended.stderr


def test_version_prints_the_version(command: Command) -> None:
    ended = command("version")
    assert (ended.returncode, ended.stdout) == (0, f"{__version__}\n")


def test_config_shows_each_setting_its_value_and_where_it_came_from(command: Command, project_root: Path) -> None:
    settings = {"PLACER": "fifo_random", "MLOPX_TOKEN": "s3cret", "DATABASE_URL": "postgresql://me:hush@db/x"}
    for ended in (command("config", **settings), command("config", "--json", **settings)):
        assert ended.returncode == 0
        assert "s3cret" not in ended.stdout + ended.stderr
        assert "hush" not in ended.stdout + ended.stderr
    rows = {row["setting"]: row for row in json.loads(ended.stdout)}
    assert list(rows) == [variable(field) for field in Settings.model_fields]
    assert rows["PLACER"]["value"] == "fifo_random"
    assert rows["DATABASE_URL"]["value"] == "postgresql://me:***@db/x"
    assert rows["MLOPX_TOKEN"]["value"] == "**********"
    sources = {name: row["source"] for name, row in rows.items()}
    assert {name for name, source in sources.items() if source == "environment"} >= {*settings, "STATE_DIR"}
    assert sources["SEED"] in ("default", "server/.env")
    lines = command("config").stdout.splitlines()
    told = {tuple(line.split(maxsplit=1)) for line in lines}
    assert ("WAIT_INTERVAL", "15.0  [default]") in told
    assert ("ALLOWED_HOSTS", '""  [default]') in told
    assert ("MLOPX_TOKEN", "-  [default]") in told
    assert lines[-1].startswith("platform: local, database: sqlite:///")


@pytest.mark.parametrize("name", ["config", "serve"])
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"WAIT_INTERVAL": "soon"}, "setting WAIT_INTERVAL 'soon' (from environment) is wrong"),
        ({"MLOPX_TOKNE": "s3cret"}, "did you mean MLOPX_TOKEN?"),
    ],
)
def test_bad_settings_end_with_advice(command: Command, name: str, settings: dict[str, str], says: str) -> None:
    ended = command(name, **settings)
    assert ended.returncode == 78
    assert ended.stdout == ""
    assert says in ended.stderr
    assert "s3cret" not in ended.stderr


def test_check_looks_at_everything_the_server_needs(command: Command, tmp_path: Path) -> None:
    ended = command("check", "--json")
    rows = {row["what"]: row for row in json.loads(ended.stdout)}
    assert ended.returncode == 0
    parts = {"settings", "state", "database", "platform", "placer"}
    assert {*parts, "node small", "node medium", "node large"} == set(rows)
    assert all(row["ok"] for row in rows.values())
    assert rows["state"]["detail"] == str(tmp_path / "state")
    assert "ok   database: sqlite answers" in command("check").stdout


@pytest.mark.parametrize(
    ("settings", "what", "says"),
    [
        ({"WAIT_INTERVAL": "soon"}, "settings", "WAIT_INTERVAL"),
        ({"STATE_DIR": "/proc/nowhere"}, "state", "the state folder /proc/nowhere cannot be written"),
        ({"DATABASE_URL": "nonsense"}, "database", "DATABASE_URL"),
        ({"DATABASE_URL": "sqlite:////proc/nowhere/x.db"}, "database", "DATABASE_URL sqlite:////proc/nowhere/x.db"),
        ({"DATABASE_URL": "postgresql://me:hush@127.0.0.1:1/x"}, "database", "the database does not answer"),
        ({"PLACER": "best_ever"}, "placer", "there is no placer 'best_ever'"),
        ({"PLACER": "nowhere:Placer"}, "placer", "nowhere"),
        ({"CLUSTER_FILE": "gone.toml"}, "nodes", "the cluster file gone.toml cannot be read"),
        ({"KFP_URL": "kubeflow"}, "platform", "is no address"),
    ],
)
def test_check_says_what_is_wrong_and_ends_with_one(
    command: Command, settings: dict[str, str], what: str, says: str
) -> None:
    ended = command("check", "--json", **settings)
    bad = {row["what"]: row["detail"] for row in json.loads(ended.stdout) if not row["ok"]}
    assert ended.returncode == 1
    assert next(iter(bad)) == what
    assert says in bad[what]
    assert "hush" not in ended.stdout + ended.stderr


def test_placers_lists_the_strategies_with_the_default(command: Command) -> None:
    ended = command("placers")
    short, names = (
        [row["name"] for row in json.loads(command("placers", *options, "--json").stdout)]
        for options in ((), ("--all",))
    )
    assert ended.returncode == 0
    assert set(short) == {"random_random", "fifo_random", "fifo_round_robin", "custom", "online"}
    assert {*short, "fifo_greedy", "heft", "exact"} <= set(names)
    assert ended.stdout.count("(default)") == 1
    assert all(f"\n{name}" in f"\n{ended.stdout}" for name in short)


def test_a_port_that_is_taken_is_said_before_anything_starts(command: Command, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = command("serve", "--port", port)
    assert ended.returncode == 78
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "--port" in ended.stderr
    assert not (tmp_path / "state").exists()
