"""Prices by node, by label, or the node's own; a file that is wrong is refused with its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.components.reporting.rates import Rates, node_share, read_rates
from server.domain.errors import ConfigurationError
from server.testing.contracts.placement_requests import a_node, amounts


def test_the_name_wins_over_a_label_and_that_over_the_node_s_own_price(tmp_path: Path) -> None:
    path = tmp_path / "rates.toml"
    path.write_text('currency = "EUR"\n[node_hour]\na = 3\n"worker_type=low" = 0.5\n[gpu_hour]\ngpu = 2\n')
    rates = read_rates(path)
    low = {"worker_type": "low"}
    assert rates.currency == "EUR"
    assert rates.of_node(a_node("a", labels=low)) == 3
    assert rates.of_node(a_node("b", labels=low, price_per_hour=9.0)) == 0.5
    assert rates.of_node(a_node("c", price_per_hour=9.0)) == 9.0
    assert rates.of_node(a_node("d")) is None
    assert rates.of_devices(amounts(gpus=2)) == 4
    assert Rates().of_devices(amounts(gpus=2)) == 0


def test_a_task_takes_the_part_of_a_node_that_it_takes_from_others() -> None:
    node = a_node("a", cpus=4, memory_gib=16, gpus=2)
    assert node_share(amounts(cpus=1, memory_gib=1), node) == 0.25
    assert node_share(amounts(cpus=1, memory_gib=12), node) == 0.75
    assert node_share(amounts(cpus=1, memory_gib=1, gpus=2), node) == 1.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[node_hours]\na = 1\n", "there is no key 'node_hours'"),
        ('[node_hour]\na = "cheap"\n', "node_hour.a: 'cheap' is no price per hour"),
        ("[gpu_hour]\na = -1\n", "gpu_hour.a: -1 is no price"),
        ("node_hour = 1\n", "a table is wanted"),
        ("currency = 1\n", "currency: a text"),
        ("a =", "is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_in_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "rates.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_rates(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_rates(tmp_path / "none.toml")
