"""What fits somewhere lacks nothing there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.domain.resources import Resources

AMOUNTS = st.integers(0, 3)
KINDS = st.dictionaries(st.sampled_from(("gpu", "tpu")), AMOUNTS)


def resources(amounts: st.SearchStrategy[int]) -> st.SearchStrategy[Resources]:
    return st.builds(
        lambda cpu, memory, pods, kinds: Resources.of(
            cpu_millicores=cpu, memory_bytes=memory, pods=pods, accelerators=kinds
        ),
        amounts,
        amounts,
        amounts,
        KINDS,
    )


@given(resources(AMOUNTS), resources(st.integers(-2, 3)))
def test_what_fits_lacks_nothing(asked: Resources, room: Resources) -> None:
    assert asked.fits_in(room) == (not asked.lacking_in(room))


def test_what_is_not_asked_for_is_not_compared() -> None:
    assert Resources().fits_in(Resources(cpu_millicores=-5, memory_bytes=-1, pods=-1))
    assert not Resources(pods=1).fits_in(Resources())
