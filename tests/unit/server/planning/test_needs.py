"""What tasks find in a cluster is known from one request to the next as long as the nodes are the same."""

from __future__ import annotations

from dataclasses import replace

from server.planning.needs import NeedsTable
from server.testing.contracts.placement_requests import a_node, a_task

NODES = (a_node("small", cpus=1), a_node("big", cpus=8))


def test_answers_are_kept_for_tasks_that_are_still_there() -> None:
    stays, leaves = a_task("stays", cpus=1), a_task("leaves", cpus=4)
    table = NeedsTable(NODES)
    before, gone = table.of(stays), table.of(leaves)
    renewed = table.renewed(list(NODES), [stays])
    assert renewed is table
    assert renewed.of(stays) is before
    assert renewed.of(replace(stays, run_id="equal")) is before
    assert renewed.of(leaves) is not gone
    assert renewed.of(leaves).nodes == gone.nodes == (1,)


def test_other_nodes_are_asked_anew() -> None:
    task = a_task("run", cpus=4)
    table = NeedsTable(NODES)
    assert table.of(task).nodes == (1,)
    grown = (a_node("small", cpus=4), NODES[1])
    assert table.renewed(grown, [task]).of(task).nodes == (0, 1)
    assert table.renewed(NODES[:1], [task]).of(task).nodes == ()
    assert table.of(task).nodes == (1,)
