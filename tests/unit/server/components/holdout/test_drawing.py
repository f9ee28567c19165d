"""Who is left out is drawn by the run's id: as many as asked for, the same ones again, others with another salt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.components.holdout.drawing import NOBODY, Holdout, read_share

IDS = [f"run-{number}" for number in range(5000)]


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_as_many_are_left_out_as_asked_for(share: float) -> None:
    found = sum(map(Holdout(share).is_left_out, IDS)) / len(IDS)
    assert found == pytest.approx(share, abs=0.02)


@given(st.text(), st.text(), st.floats(0, 0.9))
def test_the_draw_depends_on_id_and_salt_alone(run_id: str, salt: str, share: float) -> None:
    assert Holdout(share, salt).is_left_out(run_id) == Holdout(share, salt).is_left_out(run_id)
    assert not NOBODY.is_left_out(run_id)


def test_another_salt_draws_others_and_a_larger_share_keeps_those_drawn() -> None:
    ours, others = (set(filter(Holdout(0.3, salt).is_left_out, IDS)) for salt in ("", "pepper"))
    assert 0.2 < len(ours & others) / len(ours) < 0.4
    assert ours < set(filter(Holdout(0.4).is_left_out, IDS))


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), (" 2.5 % ", 0.025), ("0.2", 0.2), ("0", 0.0)])
def test_a_share_is_read(text: str, share: float) -> None:
    assert read_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["ten", "-1%", "95%", "1", "nan", "", "inf%"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"share|float"):
        read_share(text)
