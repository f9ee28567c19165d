"""What commands answer to files and words that nobody meant to give: a sentence of ours, whatever it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli.app import app
from server.cluster.static_file import read_nodes
from server.components.reporting.rates import read_rates
from server.domain.errors import MlopxError
from server.domain.toml_text import parse_toml
from server.exchange import clusters
from server.exchange.errors import UnreadableError
from server.exchange.networks import read_network
from server.platforms.local import cluster_file
from server.simulation.reading import read_scenario

Reader = Callable[[Path], object]
READERS: dict[str, Reader] = {
    "the nodes": read_nodes,
    "the local platform's cluster": lambda path: cluster_file.read_cluster(path, 2.0),
    "a cluster to solve for": clusters.read_cluster,
    "the network": read_network,
    "the rates": read_rates,
    "a scenario": read_scenario,
}
BAD = {
    "nested too deeply": (b"a = " + b"[" * 5000, "is nested too deeply"),
    "no UTF-8": ('name = "ü"'.encode("latin-1"), "it is not UTF-8 text at byte 8"),
    "UTF-16": ("a = 1".encode("utf-16"), "it is not UTF-8 text at byte 0"),
    "no TOML": (b"a = ", "is not TOML: "),
    "zeros": (b"\0\0", "is not TOML: "),
}


@pytest.mark.parametrize("what", READERS)
@pytest.mark.parametrize("case", BAD)
def test_what_is_no_toml_is_said_with_the_files_name(tmp_path: Path, what: str, case: str) -> None:
    content, said = BAD[case]
    path = tmp_path / "given.toml"
    path.write_bytes(content)
    with pytest.raises((MlopxError, UnreadableError)) as caught:
        READERS[what](path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm() -> None:
    assert parse_toml("\ufeffa = 1\r\n[b]\r\nc = 'ü'\r\n".encode()) == {"a": 1, "b": {"c": "ü"}}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["learn", "--since", "1e9d"], "--since '1e9d' is not between a moment and ten years"),
        (["learn", "--since", "nand"], "--since 'nand' is not between a moment and ten years"),
        (["placer", "new", "a" * 300], "a strategy's name has at most 63 characters"),
    ],
)
def test_words_that_go_too_far_are_refused(words: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KFP_URL", "http://127.0.0.1:9")
    ended = CliRunner().invoke(app, words)
    assert isinstance(ended.exception, MlopxError), ended.exception
    assert said in str(ended.exception)
