"""What `/readyz` says of the strategy: that it is not ready, that it failed, or that all is well again."""

from __future__ import annotations

from server.bootstrap.checks import placer_check
from server.components.decision_unit import DecisionUnit
from server.components.placer_workers.process import FailureKind


class Unit(DecisionUnit):
    """A decision unit whose strategy has had these failures, the last one now; its worker is compiling or not."""

    def __init__(self, *failures: FailureKind, placer: str = "online", is_compiling: bool = False) -> None:
        super().__init__(placer=placer, new_id=lambda: "d1", in_process=True)
        self._is_in_process = not is_compiling
        self.failures.update(failures)
        self.last_failure = failures[-1] if failures else None


def test_nothing_is_said_of_a_strategy_that_answers() -> None:
    assert placer_check(Unit(), None) is None


def test_while_it_compiles_it_is_not_ready_even_before_anything_is_asked_and_who_answers_is_said() -> None:
    found = placer_check(Unit(is_compiling=True), None)
    assert found is not None
    assert not found.ok
    assert found.detail.startswith("the strategy online is being prepared (once on a new installation")
    assert found.detail.endswith("until then fifo_greedy decides")


def test_where_the_stand_in_itself_is_loaded_nobody_answers() -> None:
    found = placer_check(Unit(placer="fifo_greedy", is_compiling=True), None)
    assert found is not None
    assert found.detail.endswith("what is ready waits")


def test_once_it_has_compiled_all_is_well_before_the_next_decision_too() -> None:
    found = placer_check(Unit("cold", "cold"), "placer online failed (cold): its worker was not ready within 0.1 s")
    assert found is not None
    assert found.ok
    assert found.detail == "fifo_greedy answered 2 times while it got ready"


def test_a_failure_is_told_until_the_strategy_answers_again() -> None:
    unit = Unit("cold", "late")
    found = placer_check(unit, "placer online failed (late): it did not answer within 5 s")
    assert found is not None
    assert not found.ok
    assert "failed once, last: placer online failed (late)" in found.detail
    unit.last_failure = None
    found = placer_check(unit, None)
    assert found is not None
    assert found.ok
    assert "last: earlier" in found.detail
