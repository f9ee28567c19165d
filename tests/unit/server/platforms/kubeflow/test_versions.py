"""A server that does not tell its version counts as an old one: what it would drop silently is not written."""

from __future__ import annotations

import pytest

from server.platforms.kubeflow.versions import OLDEST, read_version, said_of, taken_as


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2.14.0", (2, 14)),
        ("v2.5", (2, 5)),
        ("2.17.0-rc.1", (2, 17)),
        ("master", None),
        ("", None),
        ("2", None),
        ("2.x", None),
        ("sha-1.2", None),
        ("2.²", None),
    ],
)
def test_a_version_is_read_from_a_tag(text: str, version: tuple[int, int] | None) -> None:
    assert read_version(text) == version


def test_unknown_counts_as_oldest_and_the_settings_go_first() -> None:
    assert taken_as(None, None) == OLDEST
    assert taken_as((2, 17), None) == (2, 17)
    assert taken_as((2, 5), (2, 15)) == taken_as(None, (2, 15)) == (2, 15)


def test_it_is_said_what_is_not_written_and_what_to_do() -> None:
    unknown = said_of("master", None, None)
    assert "taken as older than 2.14" in unknown
    assert "set KFP_VERSION" in unknown
    assert "not preferred" in unknown
    assert said_of("2.17.0", (2, 17), None) == "version 2.17.0"
    assert "not preferred" in said_of("2.5.0", (2, 5), None)
    assert said_of("master", None, (2, 15)) == "version 2.15 by KFP_VERSION (it tells master)"
