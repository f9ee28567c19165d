"""A table of estimates as columns is the same table."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.packing import PackedTable, estimates_from, packed, unpacked
from server.domain.placement import Estimate, Estimates
from server.domain.run import TaskKey

ESTIMATES = st.builds(
    Estimate,
    st.floats(0.1, 1e6),
    st.floats(0.1, 1e6),
    st.floats(0.1, 1e6),
    st.sampled_from(("declared", "7 past runs", "")),
    st.none() | st.floats(0, 1e12),
)


@st.composite
def tables(draw: st.DrawFn) -> Estimates:
    """Any small table."""
    width = draw(st.integers(0, 4))
    rows = draw(st.lists(st.lists(ESTIMATES, min_size=width, max_size=width).map(tuple), max_size=4))
    profile_of = {("run", TaskKey(f"task-{row}"), "default"): row for row in range(len(rows))}
    return Estimates(profile_of, {f"node-{column}": column for column in range(width)}, tuple(rows))


@given(tables())
def test_every_estimate_comes_back_exactly(estimates: Estimates) -> None:
    found: Estimates = unpacked(estimates.profile_of, estimates.column_of, *packed(estimates))
    assert tuple(found.table) == estimates.table
    assert list(pickle.loads(pickle.dumps(found.table))) == list(estimates.table)
    for (run, key, _), row in estimates.profile_of.items():
        for node, column in estimates.column_of.items():
            assert found.of((run, key), node) == estimates.table[row][column]


def test_rows_are_those_of_a_tuple() -> None:
    estimates = Estimates({}, {"a": 0}, tuple((Estimate(float(n), 1.0, 2.0),) for n in range(5)))
    table = PackedTable(*packed(estimates))
    assert (len(table), table[-1], table[1:3]) == (5, estimates.table[-1], list(estimates.table[1:3]))
    assert table[2] is table[2]
    assert table == estimates.table
    with pytest.raises(IndexError, match="row 5 of 5"):
        table[5]


def test_an_empty_table_is_empty() -> None:
    assert list(PackedTable(*packed(Estimates({}, {}, ())))) == []


def test_estimates_from_columns_are_as_of_the_constructor() -> None:
    one, other = Estimate(2.0, 1.0, 3.0, "from 1 run", 5.0, 6.0), Estimate(4.0, 2.0, 9.0)
    columns = ([2.0, 4.0], [1.0, 2.0], [3.0, 9.0], ["from 1 run", ""], [5.0, None], [6.0, None])
    assert estimates_from(*columns) == [one, other]
    assert {hash(found) for found in estimates_from(*columns)} == {hash(one), hash(other)}
    with pytest.raises(ValueError, match="argument"):
        estimates_from(*columns[:-1])
