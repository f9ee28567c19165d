"""Which tasks read which data sets, and what fetching them costs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mlopx.spec import Const, NfsSource, PvcSource, Task, Volume, VolumePath, WorkloadHints
from server.domain.datasets import Dataset, DatasetCopy, DatasetUse, uses_of
from server.domain.network import NodeNetwork

AT = datetime(2026, 1, 1, tzinfo=UTC)
CLAIM = Volume(name="data", source=PvcSource(claim="datasets"), mount_path="/mnt/datasets")
EXPORT = Volume(name="data", source=NfsSource(server="files.example.org", path="/sets"), mount_path="/mnt")
PHOTOS = DatasetUse("photos", 4e9, ("b",), 100e6)


def a_dataset(place: str, name: str = "photos") -> Dataset:
    return Dataset(name, place, 4_000_000_000, "", AT, copies=(DatasetCopy("b", AT),))


def a_reader(volume: Volume | None = None, path: str = "", **more: Any) -> Task:
    arguments = {"table": VolumePath(volume="data", path=path)} if volume is not None and path else {}
    volumes = (volume,) if volume is not None else ()
    return Task.model_validate({"component": "c", "arguments": arguments, "volumes": volumes, **more})


@pytest.mark.parametrize(
    ("place", "task"),
    [
        ("pvc://datasets/photos", a_reader(CLAIM, "photos/2026/a.jpg")),
        ("pvc://datasets/photos/", a_reader(CLAIM, "photos")),
        ("pvc://datasets", a_reader(CLAIM)),
        ("nfs://files.example.org/sets/photos", a_reader(EXPORT, "photos/a.jpg")),
        ("s3://bucket/photos", a_reader(arguments={"url": Const(value="s3://bucket/photos/a.jpg")})),
        ("/srv/photos", a_reader(arguments={"folder": Const(value="/srv/photos")})),
        ("s3://nowhere", a_reader(hints=WorkloadHints.model_validate({"dataset": {"name": "photos"}}))),
    ],
)
def test_a_task_reads_what_its_paths_texts_volumes_and_hints_name(place: str, task: Task) -> None:
    (use,) = uses_of(task, {}, [a_dataset(place)])
    assert (use.name, use.size_bytes, use.nodes) == ("photos", 4e9, ("b",))


@pytest.mark.parametrize(
    ("place", "task"),
    [
        ("pvc://datasets/photos", a_reader(CLAIM, "photos-2/a.jpg")),
        ("pvc://datasets/photos", a_reader(CLAIM, "other.csv")),
        ("pvc://elsewhere/photos", a_reader(CLAIM, "photos/a.jpg")),
        ("s3://bucket/photos", a_reader(arguments={"url": Const(value="gs://bucket/photos/a.jpg")})),
    ],
)
def test_what_only_looks_alike_is_not_read(place: str, task: Task) -> None:
    assert uses_of(task, {}, [a_dataset(place)]) == ()


def test_a_parameter_of_the_run_can_name_a_data_set() -> None:
    assert uses_of(a_reader(), {"url": "s3://bucket/photos/x"}, [a_dataset("s3://bucket/photos")])


def test_a_node_without_a_copy_pays_at_the_slower_of_its_card_and_the_place() -> None:
    network = NodeNetwork(1e9, {"slow": 50e6}, latency_seconds=0.5)
    assert network.seconds({}, "b", [PHOTOS]) == 0.0
    assert network.seconds({}, "a", [PHOTOS]) == pytest.approx(40.5)
    assert network.seconds({}, "slow", [PHOTOS]) == pytest.approx(80.5)
    assert network.seconds({"b": 1e9}, "a", [PHOTOS]) == pytest.approx(41.5)
