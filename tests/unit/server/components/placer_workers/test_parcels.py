"""What travels to a placer's worker comes out as it was, whatever the worker has kept from before."""

from __future__ import annotations

import pickle
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.components.placer_workers.parcels import Frame, Packer, Parcel, Shelf
from server.domain.packing import PackedTable, packed
from server.domain.placement import PlacementRequest, TaskRef
from server.domain.run import TaskKey
from server.domain.starting import Starts, Wait
from server.testing.contracts.placement_requests import a_node, a_request, a_run, a_task, requests


def parcel_of(frame: Frame) -> Parcel:
    found: Parcel = pickle.loads(frame.data)
    return found


def asked_for(request: PlacementRequest) -> PlacementRequest:
    """The request without estimates of tasks that are not in it."""
    keys = {(*task.ref, option.name) for task in request.tasks() for option in task.options}
    known = {key: row for key, row in request.estimates.profile_of.items() if key in keys}
    return replace(request, estimates=replace(request.estimates, profile_of=known))


def columns(request: PlacementRequest) -> PlacementRequest:
    """The request with its estimates as columns."""
    estimates = request.estimates
    table = PackedTable(*packed(estimates))
    return replace(request, estimates=replace(estimates, table=table))


SENT = st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), min_size=1, max_size=6)
"""By request: how many runs are gone, whether its estimates are columns, and whether it is sent in the end."""


@given(requests(most_nodes=3, most_runs=3, most_tasks=3), SENT)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_every_request_comes_back_whatever_was_sent_before(
    asked: PlacementRequest, order: list[tuple[int, bool, bool]]
) -> None:
    packer, shelf = Packer(), Shelf()
    starts = Starts(Wait(2, 1, 3), {"x": {node.name: Wait(9, 8, 10) for node in asked.snapshot.nodes}})
    asked = replace(asked, estimates=replace(asked.estimates, starts=starts))
    for serial, (gone, is_packed, is_sent) in enumerate(order):
        some = replace(asked, runs=asked.runs[gone:])
        some = columns(some) if is_packed else some
        frame = packer.frame(serial, some)
        if not is_sent:
            continue  # its asker was cancelled before
        packer.sent(frame)
        parcel = parcel_of(frame)
        assert parcel.serial == serial
        assert shelf.unpacked(parcel) == asked_for(some)


def test_only_what_is_new_is_sent() -> None:
    cluster = [a_node("one"), a_node("two")]
    first, second = (a_run(name, a_task(name)) for name in ("first", "second"))
    before = a_request(cluster, [first])
    packer, shelf = Packer(), Shelf()
    whole = packer.frame(1, before)
    packer.sent(whole)
    shelf.unpacked(parcel_of(whole))

    after = replace(a_request([cluster[0], a_node("two", cpus=8)], [first, second]), cycle=2)
    rest = packer.frame(2, after)
    packer.sent(rest)
    parcel = parcel_of(rest)
    assert [list(part.new.values()) for part in (parcel.runs, parcel.nodes)] == [[second], [after.snapshot.nodes[1]]]
    assert shelf.unpacked(parcel) == after
    assert len(packer.frame(3, after).data) < len(whole.data)


def test_what_a_request_names_no_more_is_forgotten() -> None:
    one, other = a_run("one", a_task("one")), a_run("other", a_task("other"))
    packer, shelf = Packer(), Shelf()
    for serial, runs in enumerate(([one, other], [one], [one, other])):
        frame = packer.frame(serial, a_request([a_node("here")], runs))
        packer.sent(frame)
        parcel = parcel_of(frame)
        assert [run.run_id for run in shelf.unpacked(parcel).runs] == [run.run_id for run in runs]
    assert list(parcel.runs.new.values()) == [other]


def test_tasks_without_estimates_have_none_on_the_other_side() -> None:
    run = a_run("run", a_task("run", "known"), a_task("run", "unknown"))
    asked = a_request([a_node("here")], [run])
    known = {("run", TaskKey("known"), "default"): 0}
    asked = replace(asked, estimates=replace(asked.estimates, profile_of=known))
    found = Shelf().unpacked(parcel_of(Packer().frame(1, asked)))
    ref: TaskRef = ("run", TaskKey("known"))
    assert found.estimates.profile_of == known
    assert found.estimates.of(ref, "here") == asked.estimates.of(ref, "here")
