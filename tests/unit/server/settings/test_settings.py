"""Settings: each is read by somebody, a bad one stops the start with a sentence, and secrets stay secret."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from server.domain.errors import ConfigurationError
from server.settings import Settings, load, masked, variable

NOWHERE = Path("no-such-file")


def attributes_read(tree: ast.AST, of: str) -> set[str]:
    """Names of the attributes that code reads of a variable."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == of
    }


def test_every_setting_is_read_by_some_code(project_root: Path) -> None:
    own = project_root / "server" / "settings.py"
    files = [path for path in (project_root / "server").rglob("*.py") if path != own and "cli" not in path.parts]
    used = {name for path in files for name in attributes_read(ast.parse(path.read_text()), "settings")}
    (model,) = [
        node for node in ast.parse(own.read_text()).body if isinstance(node, ast.ClassDef) and node.name == "Settings"
    ]
    for method in model.body:
        if isinstance(method, ast.FunctionDef) and method.name in used:
            used |= attributes_read(method, "self")
    assert set(Settings.model_fields) - used == set()


def test_the_page_of_settings_names_each_and_no_other(project_root: Path) -> None:
    lines = (project_root / "docs" / "settings.md").read_text().splitlines()
    listed = [line.split("`")[1] for line in lines if line.startswith("| `")]
    assert listed == [variable(field) for field in Settings.model_fields]
    assert all(field.description for field in Settings.model_fields.values())


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("PLACER=fifo_random\nSEED=7\n# a comment\nLOG_LEVEL='debug'\n")
    settings, sources = load({"PLACER": "fifo_greedy", "HOME": "/root"}, file)
    assert (settings.placer, settings.seed, settings.log_level, settings.wait_interval) == (
        "fifo_greedy",
        7,
        "debug",
        15.0,
    )
    assert [sources[name] for name in ("placer", "seed", "log_level", "wait_interval")] == [
        "environment",
        "server/.env",
        "server/.env",
        "default",
    ]
    assert set(sources) == set(Settings.model_fields)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("WAIT_INTERVAL", "soon", "valid number"),
        ("WAIT_INTERVAL", "0", "greater than 0"),
        ("WAIT_INTERVAL", "", "valid number"),
        ("UPDATE_INTERVAL", "-1", "greater than 0"),
        ("UPDATE_INTERVAL", "inf", "finite number"),
        ("PLACER_TIME_LIMIT", "nan", "finite number"),
        ("PLACER_TIME_LIMIT", "601", "less than or equal to 600"),
        ("AGENT_GRACE_SECONDS", "-0.1", "greater than or equal to 0"),
        ("MAX_UPLOAD_BYTES", "32MiB", "valid integer"),
        ("MAX_UPLOAD_BYTES", "0", "greater than 0"),
        ("SEED", "1.5", "valid integer"),
        ("ENABLE_CACHING", "perhaps", "valid boolean"),
        ("PLATFORM", "slurm", "'local' or 'kubeflow'"),
        ("OBJECTIVE", "happiness", "'turnaround', 'makespan'"),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
    ],
)
@pytest.mark.parametrize("source", ["environment", "server/.env"])
def test_a_bad_value_is_said_with_its_name_value_and_source(
    tmp_path: Path, name: str, value: str, says: str, source: str
) -> None:
    file = tmp_path / ".env"
    file.write_text(f"{name}={value}\n" if source == "server/.env" else "")
    with pytest.raises(ConfigurationError) as caught:
        load({name: value} if source == "environment" else {}, file)
    assert f"setting {name} {value!r} (from {source}) is wrong" in caught.value.message
    assert says in caught.value.message
    assert caught.value.hint


def test_an_unknown_name_is_said_with_what_was_probably_meant(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("PLACR=custom\n")
    with pytest.raises(ConfigurationError, match=r"no setting PLACR \(found in \.env\)") as caught:
        load({}, file)
    assert caught.value.hint == "did you mean PLACER?"
    with pytest.raises(ConfigurationError, match=r"no setting MLOPX_TOKNE \(found in the environment\)") as caught:
        load({"MLOPX_TOKNE": "s3cret"}, NOWHERE)
    assert caught.value.hint == "did you mean MLOPX_TOKEN?"
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ConfigurationError) as caught:
        load({"MLOPX_ZZZZZ": ""}, NOWHERE)
    assert caught.value.hint == "`mlopx-server config` lists all settings"


def test_variables_of_others_do_not_disturb() -> None:
    settings, _ = load({"MLOPX_URL": "http://127.0.0.1:8000", "PATH": "/bin", "PLACR": "not ours to judge"}, NOWHERE)
    assert settings == Settings()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / ".env"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"the settings file .*\.env"):
        load({}, file)


@pytest.mark.parametrize("name", ["DATABASE_URL", "KFP_URL", "PROMETHEUS_URL", "CLUSTER_FILE", "MLOPX_TOKEN"])
def test_an_empty_value_means_unset(name: str) -> None:
    settings, _ = load({name: ""}, NOWHERE)
    assert settings == Settings()


def test_defaults_follow_from_other_settings(tmp_path: Path) -> None:
    assert Settings().platform_name == "local"
    assert Settings(kfp_url="http://kfp").platform_name == "kubeflow"
    assert Settings(kfp_url="http://kfp", platform="local").platform_name == "local"
    assert Settings(state_dir=tmp_path).database == f"sqlite:///{tmp_path}/mlopx.db"
    assert Settings(database_url="postgresql://h/x").database == "postgresql://h/x"
    assert Settings(allowed_hosts=" A.example , b.example,").hosts == {"a.example", "b.example"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        ("postgresql://me:hush@db:5432/x", "postgresql://me:***@db:5432/x"),
        ("postgresql://:hush@db/x", "postgresql://:***@db/x"),
        ("postgresql://me@db/x", "postgresql://me@db/x"),
        ("http://127.0.0.1:9090/a@b", "http://127.0.0.1:9090/a@b"),
        ("sqlite:////srv/mlopx.db", "sqlite:////srv/mlopx.db"),
        (15.0, "15.0"),
    ],
)
def test_passwords_in_addresses_are_not_shown(value: object, shown: str | None) -> None:
    assert masked(value) == shown


def test_the_token_is_never_part_of_a_text() -> None:
    settings, _ = load({"MLOPX_TOKEN": "s3cret"}, NOWHERE)
    assert "s3cret" not in repr(settings) + str(settings) + str(masked(settings.mlopx_token))
