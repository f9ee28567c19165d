"""What every run store promises, as functions: give each an empty store, it raises AssertionError if one is broken.

For your own store::

    import pytest
    from server.testing.contracts.store import PROMISES

    @pytest.mark.parametrize("promise", PROMISES)
    def test_keeps(promise):
        PROMISES[promise](MyRunStore())
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlopx import component, pipeline
from mlopx.spec import parse_spec, to_json
from server.domain import events as happened
from server.domain.errors import ConflictError, NotFoundError, VersionConflictError
from server.domain.graph import compile_graph
from server.domain.lifecycle import Change, apply, start_run
from server.domain.placement import Candidate, Decision
from server.domain.run import Output, Run, RunOptions, TaskKey
from server.domain.states import RunState
from server.stores.interface import CacheEntry, FinishedAttempt, Note, RunFilter, RunStoreInterface, Save

Promise = Callable[[RunStoreInterface], None]
START = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
FIRST = TaskKey("first")
WRITERS = 8


@component
def step(a: int = 0) -> int:
    return a


@pipeline
def two_steps(value: int = 1) -> None:
    made = step(a=value).named("first")
    step(a=made.output).named("second")


GRAPH = compile_graph(parse_spec(to_json(two_steps.build())))  # as it comes over the wire


def a_change(run_id: str, *, at: datetime = START, value: int = 1, **options: Any) -> Change:
    """A run of two tasks, as it is when it was just submitted."""
    return start_run(run_id, GRAPH, parameters={"value": value}, options=RunOptions(**options), at=at)


def put(store: RunStoreInterface, change: Change, key: str | None = None) -> Run:
    """Store a new run."""
    return store.create_run(change.run, change.events, idempotency_key=key)[0]


def save_of(before: Run, *said: happened.Event) -> Save:
    """What the journal would save after these events."""
    run = before
    gathered: list[happened.Event] = []
    for one in said:
        change = apply(run, one)
        run = change.run
        gathered.extend(change.events)
    changed = tuple(key for key, task in run.tasks.items() if before.tasks.get(key) is not task)
    return Save(run, before.version, changed, tuple(gathered))


def is_same(one: Run, other: Run) -> bool:
    """Whether two runs say the same. Graphs are compared by their digests, as they are by everybody else."""
    return one.graph.digest == other.graph.digest and replace(one, graph=other.graph) == other


def placed(at: datetime = START) -> happened.Event:
    """The first task gets a node."""
    return happened.TaskPlaced(at=at, key=FIRST, attempt=1, node="alpha")


def ended(at: datetime = START) -> happened.Event:
    """Somebody cancels the run, which ends it when nothing was handed over yet."""
    return happened.CancelRequested(at=at)


def gives_back_a_run_as_it_was(store: RunStoreInterface) -> None:
    """Every field of a run, its tasks and attempts survives, before and after a change."""
    run = put(store, a_change("run-1", priority=7, project="vision", labels={"team": "a"}))
    assert is_same(store.load_run("run-1"), run)
    save = save_of(run, placed())
    store.save([save])
    assert is_same(store.load_run("run-1"), save.run)


def tells_of_a_run_that_is_not_there(store: RunStoreInterface) -> None:
    """An unknown id is an error that names it."""
    with pytest.raises(NotFoundError, match="run-9"):
        store.load_run("run-9")
    with pytest.raises(NotFoundError, match="run-9"):
        store.list_runs(RunFilter(after="run-9"))
    assert store.decisions("run-9") == []
    assert store.events(run_id="run-9") == []


def one_key_makes_one_run(store: RunStoreInterface) -> None:
    """A repeated key answers the run of that time and writes nothing; for other work it is a conflict."""
    first = put(store, a_change("run-1"), "key")
    last = store.last_event_id()
    assert put(store, a_change("run-2", at=START + timedelta(hours=1)), "key").id == first.id
    assert store.last_event_id() == last
    for other in (
        a_change("run-3", value=2),
        a_change("run-3", priority=1),
        a_change("run-3", project="other"),
        a_change("run-3", is_caching=False),
        a_change("run-3", labels={"a": "b"}),
    ):
        with pytest.raises(ConflictError, match="key"):
            put(store, other, "key")
    assert [run.id for run in store.live_runs()] == ["run-1"]
    assert put(store, a_change("run-4"), "other key").id == "run-4"


def a_save_with_an_old_version_writes_nothing(store: RunStoreInterface) -> None:
    """Of several saves in one call all are written, or none."""
    one, two = put(store, a_change("run-1")), put(store, a_change("run-2"))
    store.save([save_of(two, placed())])
    last = store.last_event_id()
    with pytest.raises(VersionConflictError, match="run-2"):
        store.save([save_of(one, placed()), save_of(two, placed())])
    assert is_same(store.load_run("run-1"), one)
    assert store.last_event_id() == last
    with pytest.raises(VersionConflictError, match="run-3"):
        store.save([save_of(a_change("run-3").run, placed())])


def events_come_in_commit_order(store: RunStoreInterface) -> None:
    """Ids grow; pages, and the events of one run, are cut from the same sequence."""
    put(store, a_change("run-1"))
    two = put(store, a_change("run-2"))
    stored = store.save([save_of(two, placed())])
    everything = store.events()
    ids = [one.id for one in everything]
    assert ids == sorted(set(ids))
    assert ids[-1] == store.last_event_id() == stored[-1].id
    assert [one for one in everything if one.id >= stored[0].id] == stored
    assert store.events(after=ids[1], limit=2) == everything[2:4]
    assert store.events(run_id="run-2") == [one for one in everything if one.run_id == "run-2"]
    assert store.events(after=ids[-1]) == []


def many_writers_lose_nothing(store: RunStoreInterface) -> None:
    """Runs created by several threads at once are all there, each with all of its events, once."""
    failures: list[BaseException] = []

    def work(writer: int) -> None:
        try:
            for turn in range(10):
                run = put(store, a_change(f"run-{writer}-{turn}"), f"key-{turn}-{writer}")
                store.save([save_of(run, placed())])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.live_runs()) == WRITERS * 10
    events = store.events(limit=100_000)
    single = len(a_change("x").events) + len(save_of(a_change("x").run, placed()).events)
    assert len({one.id for one in events}) == len(events) == WRITERS * 10 * single


def of_many_with_one_key_one_wins(store: RunStoreInterface) -> None:
    """The same submission sent several times at once makes one run, and everybody hears of that one."""
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda number=number: answers.append(put(store, a_change(f"run-{number}"), "key").id))
        for number in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == WRITERS
    assert set(answers) == {run.id for run in store.live_runs()}
    assert len(set(answers)) == 1


def live_runs_are_those_without_an_end(store: RunStoreInterface) -> None:
    """In submission order, whatever the order of writing; counted by state."""
    put(store, a_change("run-b", at=START + timedelta(seconds=2)))
    put(store, a_change("run-c", at=START + timedelta(seconds=1)))
    put(store, a_change("run-a", at=START))
    done = put(store, a_change("run-d", at=START))
    save = save_of(done, ended())
    assert save.run.state is RunState.CANCELLED
    store.save([save])
    assert [run.id for run in store.live_runs()] == ["run-a", "run-c", "run-b"]
    assert store.count_by_state() == {RunState.WAITING: 3, RunState.CANCELLED: 1}


def lists_are_filtered_and_paged(store: RunStoreInterface) -> None:
    """Newest first; the pages together are the whole list, also for runs of the same instant."""
    for number in range(7):
        at = START + timedelta(seconds=number // 2)
        put(store, a_change(f"run-{number}", at=at, project="odd" if number % 2 else "even"))
    store.save([save_of(store.load_run("run-3"), ended())])
    pages, cursor = [], None
    while True:
        page = store.list_runs(RunFilter(limit=3, after=cursor))
        pages.append([run.id for run in page.runs])
        cursor = page.next
        if cursor is None:
            break
    assert [len(page) for page in pages] == [3, 3, 1]
    everything = [run_id for one in pages for run_id in one]
    assert everything == [f"run-{number}" for number in (6, 5, 4, 3, 2, 1, 0)]

    def found(**wanted: Any) -> list[str]:
        return [run.id for run in store.list_runs(RunFilter(**wanted)).runs]

    assert found(project="odd") == ["run-5", "run-3", "run-1"]
    assert found(states=(RunState.CANCELLED,)) == ["run-3"]
    assert found(states=(RunState.CANCELLED,), project="even") == []
    assert found(name="two-steps") == everything
    assert found(name="another") == []
    assert found(submitted_since=START + timedelta(seconds=2)) == ["run-6", "run-5", "run-4"]


def a_run_that_comes_between_two_pages_moves_nothing(store: RunStoreInterface) -> None:
    """The second page goes on where the first one ended."""
    for number in range(4):
        put(store, a_change(f"run-{number}", at=START + timedelta(seconds=number)))
    first = store.list_runs(RunFilter(limit=2))
    put(store, a_change("run-new", at=START + timedelta(hours=1)))
    second = store.list_runs(RunFilter(limit=2, after=first.next))
    assert [run.id for run in (*first.runs, *second.runs)] == ["run-3", "run-2", "run-1", "run-0"]


def decisions_are_kept_in_order(store: RunStoreInterface) -> None:
    """All of a run, or of one task, as they were."""
    made = [a_decision(number, task) for number, task in enumerate((FIRST, TaskKey("second"), FIRST))]
    store.add_decisions(made[:2])
    store.add_decisions(made[2:])
    store.add_decisions([])
    assert store.decisions("run-1") == made
    assert store.decisions("run-1", task=FIRST) == [made[0], made[2]]


def a_decision(number: int, key: TaskKey) -> Decision:
    """A decision with everything that one can hold."""
    names = [f"node-{index:02}.a-rather-long-name.example" for index in range(8)]
    return Decision(
        id=f"d-{number}",
        cycle=number,
        at=START,
        run_id="run-1",
        key=key,
        attempt=1,
        node=names[0],
        option="default",
        strategy="fifo_greedy",
        reason="fewest tasks (0), then most cores and memory",
        snapshot_at=START,
        candidates=tuple(
            Candidate(name, "default", 1.25, 2.5, 5.125, 2.5, index < 4) for index, name in enumerate(names)
        ),
        rejected={f"lacks {kind}": 124 for kind in ("cpu", "memory", "nvidia.com/gpu", "the label a", "a toleration")},
        runner_up=names[1],
    )


def finished_attempts_are_numbered(store: RunStoreInterface) -> None:
    """They come back oldest first, after any id, as they were."""
    made = [
        FinishedAttempt(0, "run-1", f"task-{n}", "step", "sha256:1", "default", "a", "big", 1.5, 500,
                        (("nvidia.com/gpu", 1),), 10.5, 1.25 * n, "succeeded", START, 1e9, {"task_kind": "train"})
        for n in range(4)
    ]  # fmt: skip
    assert store.last_finished_id() == 0
    store.add_finished(made[:3])
    store.add_finished(made[3:])
    kept = store.finished()
    assert [replace(one, id=0) for one in kept] == made
    assert [one.id for one in kept] == sorted({one.id for one in kept})
    assert store.finished(after=kept[1].id) == kept[2:]
    assert store.last_finished_id() == kept[-1].id
    assert store.finished(limit=2) == kept[:2]


def notes_are_found_by_kind_and_thinned_out(store: RunStoreInterface) -> None:
    """Newest last; with `keep`, only the newest of each kind and subject stay, and nobody else's go."""
    store.add_notes([])
    store.add_notes([Note("nodes", "all", START, {"names": ["a", "ä"]})])
    for number in range(5):
        at = START + timedelta(seconds=number)
        store.add_notes([Note("shadow", "heft", at, {"n": number}), Note("shadow", "peft", at, {"n": -number})], keep=3)
    found = store.notes("shadow", subject="heft")
    assert [one.document["n"] for one in found] == [2, 3, 4]
    assert found[-1] == Note("shadow", "heft", START + timedelta(seconds=4), {"n": 4}, found[-1].id)
    assert [one.document["n"] for one in store.notes("shadow", limit=3)] == [-3, 4, -4]
    assert [one.document["n"] for one in store.notes("shadow", since=START + timedelta(seconds=4))] == [4, -4]
    assert [dict(one.document) for one in store.notes("nodes")] == [{"names": ["a", "ä"]}]
    assert store.notes("nodes", subject="other") == []


def a_newer_cache_entry_replaces_an_older(store: RunStoreInterface) -> None:
    """Looked up by key; unknown keys are left out."""
    old = CacheEntry("key", "run-1", "first", {"output": Output(1)}, START)
    new = CacheEntry("key", "run-2", "first", {"output": Output({"deep": [1, None, "ä"]})}, START)
    other = CacheEntry("other", "run-1", "second", {}, START)
    store.put_cache([old, other])
    store.put_cache([new])
    store.put_cache([])
    assert store.get_cache(["key", "other", "missing"]) == {"key": new, "other": other}
    assert store.get_cache([]) == {}


def a_lease_has_one_holder(store: RunStoreInterface) -> None:
    """Renewed by its holder, taken over when it ran out or was given back, with a token that grows."""

    def take(owner: str, after_seconds: float) -> int | None:
        return store.take_lease("scheduler", owner, now=START + timedelta(seconds=after_seconds), seconds=10)

    first = take("a", 0)
    assert first is not None
    assert take("b", 5) is None
    assert take("a", 8) == first
    assert take("b", 17) is None
    second = take("b", 19)
    assert second is not None
    assert second > first
    store.release_lease("scheduler", "a")
    assert take("a", 20) is None
    store.release_lease("scheduler", "b")
    third = take("a", 20)
    assert third is not None
    assert third > second
    assert store.take_lease("another", "b", now=START, seconds=1) is not None


PROMISES: dict[str, Promise] = {
    promise.__name__: promise
    for promise in (
        gives_back_a_run_as_it_was,
        tells_of_a_run_that_is_not_there,
        one_key_makes_one_run,
        a_save_with_an_old_version_writes_nothing,
        events_come_in_commit_order,
        many_writers_lose_nothing,
        of_many_with_one_key_one_wins,
        live_runs_are_those_without_an_end,
        lists_are_filtered_and_paged,
        a_run_that_comes_between_two_pages_moves_nothing,
        decisions_are_kept_in_order,
        finished_attempts_are_numbered,
        notes_are_found_by_kind_and_thinned_out,
        a_newer_cache_entry_replaces_an_older,
        a_lease_has_one_holder,
    )
}
