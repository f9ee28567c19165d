"""What a strategy was asked is kept, found by the decision's id, and read back whole."""

from __future__ import annotations

import base64
import os
import pickle
import zlib

from hypothesis import given, settings

from server.components.decision_unit import DecisionUnit
from server.components.placer_workers.pickling import pickled
from server.components.remembering.questions import FORMAT, Questions, find_question, read_question
from server.domain.placement import PlacementRequest
from server.stores.interface import Note
from server.stores.memory import MemoryRunStore
from server.testing.contracts.placement_requests import NOW, a_node, a_request, a_run, a_task, requests


def note_of(data: bytes) -> Note:
    packed = base64.b64encode(zlib.compress(data)).decode()
    return Note("question", "", NOW, {"decisions": [], "data": packed})


@settings(deadline=None)
@given(requests())
def test_a_question_comes_back_as_it_was(asked: PlacementRequest) -> None:
    assert read_question(note_of(pickled((FORMAT, asked)))) == asked


async def test_a_question_is_found_by_any_of_its_decisions() -> None:
    store = MemoryRunStore()
    questions = Questions(store)
    asked = a_request([a_node("a")], [a_run("r", a_task("r", "one"), a_task("r", "two"))])
    numbers = iter("abcdef")
    unit = DecisionUnit(placer="fifo_greedy", new_id=lambda: next(numbers), in_process=True)
    outcome = unit.decide_now(asked)
    questions.notice(asked, outcome)
    await questions.aclose()
    assert questions.kept == 1
    assert len(outcome.decisions) == 2
    assert all(find_question(store, decision) == asked for decision in outcome.decisions)


def test_a_kept_question_can_make_nothing_but_our_values() -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("true",)

    assert read_question(note_of(pickle.dumps((FORMAT, Evil())))) is None
    assert read_question(note_of(pickle.dumps((FORMAT + 1, "of another version")))) is None
    assert read_question(note_of(b"cut off")) is None
