"""What every store of schedules promises, as functions: give each an empty one, it raises AssertionError if broken."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from server.domain.errors import ConflictError, NotFoundError, VersionConflictError
from server.domain.recurring import Firing, Missed, Outcome, Overlap, Schedule, ScheduledPipeline
from server.stores.interface import ScheduleStoreInterface

Promise = Callable[[ScheduleStoreInterface], None]
START = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
PIPELINE = ScheduledPipeline("root: {ü: 1}\n", "p.yaml")


def a_schedule(name: str = "nightly", uid: str = "u1") -> Schedule:
    """A schedule with something in every field."""
    return Schedule(
        name=name,
        uid=uid,
        cron="0 6 * * *",
        zone="Europe/Berlin",
        pipeline_name="churn",
        created_at=START,
        handled_until=START,
        overlap=Overlap.REPLACE,
        missed=Missed.ALL,
        most_missed=3,
        parameters={"a": [1, {"b": None}], "c": 1.5},
        priority=-1,
        project="shop",
        deadline_seconds=60.0,
        is_caching=False,
        labels={"team": "a"},
        webhook="https://example.org/hook",
        late_seconds=30.0,
        pending_at=START + timedelta(days=1),
        last_run_id="r1",
        firings=(Firing(START, Outcome.SKIPPED, None, "because", ("late",)),),
    )


def a_schedule_comes_back_as_it_was_with_its_pipeline(store: ScheduleStoreInterface) -> None:
    store.add(a_schedule(), PIPELINE)
    assert store.get("nightly") == a_schedule()
    assert store.pipeline("nightly") == PIPELINE
    store.add(a_schedule("a-first", "u2"), ScheduledPipeline("{}"))
    assert [one.name for one in store.all()] == ["a-first", "nightly"]


def a_name_is_given_once(store: ScheduleStoreInterface) -> None:
    store.add(a_schedule(), PIPELINE)
    with pytest.raises(ConflictError):
        store.add(a_schedule(uid="u2"), ScheduledPipeline("{}"))
    assert store.get("nightly").uid == "u1"
    assert store.pipeline("nightly") == PIPELINE


def of_two_who_change_it_one_is_told(store: ScheduleStoreInterface) -> None:
    store.add(a_schedule(), PIPELINE)
    read = store.get("nightly")
    saved = store.save(replace(read, is_paused=True))
    assert saved == replace(read, is_paused=True, version=read.version + 1)
    with pytest.raises(VersionConflictError):
        store.save(replace(read, last_run_id="r2"))
    assert store.get("nightly") == saved


def of_many_who_change_it_at_once_each_change_is_kept(store: ScheduleStoreInterface) -> None:
    store.add(replace(a_schedule(), firings=()), PIPELINE)

    def note(number: int) -> None:
        while True:
            read = store.get("nightly")
            try:
                store.save(read.noted(Firing(START + timedelta(minutes=number), Outcome.MISSED)))
            except VersionConflictError:
                continue
            return

    threads = [threading.Thread(target=note, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.get("nightly").firings) == 6


def what_is_forgotten_is_gone_and_does_not_come_back(store: ScheduleStoreInterface) -> None:
    store.add(a_schedule(), PIPELINE)
    read = store.get("nightly")
    store.delete("nightly")
    for use in (lambda: store.get("nightly"), lambda: store.pipeline("nightly"), lambda: store.save(read)):
        with pytest.raises(NotFoundError):
            use()
    with pytest.raises(NotFoundError):
        store.delete("nightly")
    store.add(a_schedule(uid="u2"), PIPELINE)
    with pytest.raises(NotFoundError):
        store.save(read)


SCHEDULE_PROMISES: dict[str, Promise] = {
    function.__name__: function
    for function in (
        a_schedule_comes_back_as_it_was_with_its_pipeline,
        a_name_is_given_once,
        of_two_who_change_it_one_is_told,
        of_many_who_change_it_at_once_each_change_is_kept,
        what_is_forgotten_is_gone_and_does_not_come_back,
    )
}

__all__ = ["PIPELINE", "SCHEDULE_PROMISES", "a_schedule"]
