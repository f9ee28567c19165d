"""What a task asks of its node, in words: amounts, labels, options, volumes; and values that only the run will know.

Where a line tells mypy or ruff to overlook something, that mistake is what the test is about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlopx import Volume, component, node_label, option, this_run
from mlopx.errors import DefinitionError
from mlopx.spec import (
    NfsSource,
    Option,
    PipelineSpec,
    PvcSource,
    Requirement,
    Resources,
)

Told = Callable[[Callable[..., Any]], DefinitionError]
Build = Callable[[Callable[..., Any]], PipelineSpec]

CPU = 'a CPU amount such as "500m", 0.5 or 2'
MEMORY = 'a memory size such as "512Mi" or "4Gi"'


@component
def score(x: int = 1) -> float:
    return float(x)


@pytest.mark.parametrize(
    ("amount", "millicores"), [(2, 2000), (0.5, 500), ("0.5", 500), ("500m", 500), (" 1 ", 1000), ("0.0015", 1)]
)
def test_cpus_are_read_from_numbers_and_texts(build: Build, amount: Any, millicores: int) -> None:
    spec = build(lambda: score().request(cpu=amount))
    assert spec.tasks["score"].resources == Resources(cpu_millicores=millicores)


@pytest.mark.parametrize(
    ("amount", "size"),
    [("512Mi", 512 * 2**20), ("4Gi", 4 * 2**30), ("2G", 2 * 10**9), ("1.5Ki", 1536), (1000, 1000), ("1k", 1000)],
)
def test_memory_is_read_from_numbers_and_texts(build: Build, amount: Any, size: int) -> None:
    spec = build(lambda: score().request(memory=amount))
    assert spec.tasks["score"].resources == Resources(memory_bytes=size)


@pytest.mark.parametrize(
    ("span", "seconds"), [(90, 90), (0.5, 0.5), ("200ms", 0.2), ("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400)]
)
def test_time_is_read_from_numbers_and_texts(build: Build, span: Any, seconds: float) -> None:
    assert build(lambda: score().timeout(span)).tasks["score"].timeout_seconds == seconds


@pytest.mark.parametrize("amount", ["lots", "1Gi", "-1", -1, 0, "0", True, "", "1 000"])
def test_what_is_no_amount_of_cpus_is_refused(told: Told, amount: Any) -> None:
    assert told(lambda: score().request(cpu=amount)).message == f"{amount!r} is not {CPU}"


@pytest.mark.parametrize("amount", ["lots", "512MB", "500m", "-1Gi", 0, False, "1e3", "Mi"])
def test_what_is_no_amount_of_memory_is_refused(told: Told, amount: Any) -> None:
    assert told(lambda: score().request(memory=amount)).message == f"{amount!r} is not {MEMORY}"


def test_limits_are_told_apart_from_requests(build: Build) -> None:
    spec = build(lambda: score().request(cpu=1, cpu_limit=2, memory="1Gi", memory_limit="1Gi"))
    assert spec.tasks["score"].resources == Resources(
        cpu_millicores=1000, cpu_limit_millicores=2000, memory_bytes=2**30, memory_limit_bytes=2**30
    )


@pytest.mark.parametrize(
    ("requirement", "operator", "values"),
    [
        (node_label("zone").is_in("a", "b"), "In", ("a", "b")),
        (node_label("zone").is_not_in("a"), "NotIn", ("a",)),
        (node_label("zone").exists(), "Exists", ()),
        (node_label("zone").is_missing(), "DoesNotExist", ()),
        (node_label("zone").is_above(3), "Gt", ("3",)),
        (node_label("zone").is_below(-3), "Lt", ("-3",)),
    ],
)
def test_every_word_on_a_label_becomes_a_requirement(
    requirement: Requirement, operator: str, values: tuple[str, ...]
) -> None:
    assert requirement == Requirement.model_validate({"label": "zone", "operator": operator, "values": values})


def accelerators(**asked: Any) -> Option:
    return option("gpu", **asked)


@pytest.mark.parametrize(
    ("make", "said", "hint"),
    [
        (
            lambda: node_label("zone").is_in(),
            "the constraint on label 'zone' is wrong: operator In needs at least one value",
            None,
        ),
        (
            lambda: node_label("zone").is_in(["a", "b"]),
            "the constraint on label 'zone' is wrong: values.0: Input should be a valid string",
            None,
        ),
        (
            lambda: node_label("cores").is_above(2.5),
            "the constraint on label 'cores' is wrong: operator Gt needs exactly one integer, as text",
            None,
        ),
        (
            lambda: node_label("").exists(),
            "the constraint on label '' is wrong: label: String should have at least 1 character",
            None,
        ),
        (lambda: option("9"), "'9' cannot be made into a name", "begin it with a letter"),
        (lambda: option("gpu", cpus=1), "an option has no setting 'cpus'", "did you mean cpu=?"),
        (lambda: option("gpu", cpu="lots"), f"'lots' is not {CPU}", None),
        (lambda: option("gpu", image=5), "option 'gpu' is wrong: image: Input should be a valid string", None),
        (
            lambda: option("gpu", accelerator="nvidia.com/gpu", accelerators=0),
            "0 accelerators make no sense",
            "ask for one or more, or for none",
        ),
        (
            lambda: option("gpu", accelerator="nvidia.com/gpu", accelerators="2"),
            "'2' accelerators make no sense",
            "ask for one or more, or for none",
        ),
        (
            lambda: option("gpu", accelerator_memory="16Gi"),
            "accelerators are asked for, but not which",
            'write accelerator="nvidia.com/gpu" as well',
        ),
        (
            lambda: option("gpu", accelerators=2),
            "accelerators are asked for, but not which",
            'write accelerator="nvidia.com/gpu" as well',
        ),
        (
            lambda: option("gpu", accelerator=""),
            "the accelerator is wrong: accelerator: String should have at least 1 character",
            'write accelerator="nvidia.com/gpu", accelerators=1',
        ),
        (
            lambda: option("gpu", accelerator="nvidia.com/gpu", accelerator_memory="big"),
            f"'big' is not {MEMORY}",
            None,
        ),
        (
            lambda: option("big", cpu=20_000),
            "the requests are wrong: cpu_millicores: Input should be less than or equal to 10000000",
            None,
        ),
        (
            lambda: Volume.pvc("data", mount_path="data"),
            "mount_path 'data' must be absolute",
            "write mount_path='/data'",
        ),
        (
            lambda: Volume.pvc("", name="data", mount_path="/data"),
            "the claim '' is wrong: claim: String should have at least 1 character",
            None,
        ),
        (lambda: Volume.pvc("123", mount_path="/data"), "'123' cannot be made into a name", "begin it with a letter"),
        (
            lambda: Volume.pvc("data", mount_path="/" + "x" * 5000),
            "volume 'data' is wrong: mount_path: String should have at most 4096 characters",
            None,
        ),
        (
            lambda: Volume.nfs("files", "exports", mount_path="/data"),
            "the exported folder 'exports' must be absolute",
            "write '/exports'",
        ),
        (
            lambda: Volume.nfs("", "/exports", mount_path="/data"),
            "the NFS server is wrong: server: String should have at least 1 character",
            None,
        ),
    ],
)
def test_a_need_that_cannot_be_is_refused_where_it_is_written(
    told_at_once: Told, make: Callable[[], Any], said: str, hint: str | None
) -> None:
    error = told_at_once(make)
    assert (error.message, error.hint) == (said, hint)


def test_volumes_take_their_name_from_what_they_mount() -> None:
    claim = Volume.pvc("Data sets", mount_path="/data", sub_path="a")
    folder = Volume.nfs("files", "/exports/raw", mount_path="/raw", read_only=True)
    named = Volume.nfs("files", "/exports/raw", mount_path="/raw", name="raw")
    assert (claim.spec.name, claim.spec.source, claim.spec.sub_path) == ("data-sets", PvcSource(claim="Data sets"), "a")
    assert (folder.spec.name, folder.spec.read_only) == ("exports-raw", True)
    assert (named.spec.name, named.spec.source) == ("raw", NfsSource(server="files", path="/exports/raw"))


def test_numbers_in_the_environment_of_an_option_become_texts() -> None:
    made = option("many", env={"THREADS": 4})  # type: ignore[dict-item]
    assert made == Option(name="many", environment={"THREADS": "4"})


IN_PYTHON = "a value that only the run will know is used in a Python `if` or `and`"
IN_TEXT = "a value that only the run will know is put into a text"
FORMAT_THERE = "pass it to a task as an argument and format it there"


@pytest.mark.parametrize(
    ("use", "said", "hint"),
    [
        (lambda: bool(score().output), IN_PYTHON, "use `with If(value == ...):`, which the run decides"),
        (lambda: bool(score()), IN_PYTHON, "use `with If(task.output == ...):`, which the run decides"),
        (lambda: bool(score() == 3), IN_PYTHON, "use `with If(a == 1, b == 2):`, which the run decides"),
        (lambda: score().output.is_in(3), "is_in takes a list of choices, not 3", "write is_in([1, 2])"),
        (lambda: not score().output > 1, IN_PYTHON, "use `with If(a == 1, b == 2):`, which the run decides"),
        (
            lambda: list(score().output),
            "a value that only the run will know is looped over in Python",
            "use `with Loop(value) as item:`, which the run expands",
        ),
        (lambda: str(score().output), IN_TEXT, FORMAT_THERE),
        (lambda: f"{score().output}", IN_TEXT, FORMAT_THERE),
        (lambda: f"{this_run.name}", IN_TEXT, FORMAT_THERE),
        (
            lambda: score().output.real,
            "a value of the run has no 'real'",
            "what is in a value, only the run will know: pass it to a task as an argument and look there",
        ),
    ],
)
def test_a_value_that_only_the_run_will_know_cannot_be_used_in_python(
    told: Told, use: Callable[[], Any], said: str, hint: str
) -> None:
    error = told(use)
    assert (error.message, error.hint) == (said, hint)
