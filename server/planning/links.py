"""What a transfer costs when nothing else uses the network, in plain numpy: the checker's and the bounds' own reading
of `Network`, shared with no decoder."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from server.planning.problem import Floats, Network


def alone_seconds(network: Network, sizes: npt.ArrayLike, senders: npt.ArrayLike, receivers: npt.ArrayLike) -> Floats:
    """Seconds of each transfer of `sizes` bytes alone; the three are broadcast against each other. 0 on one node."""
    per_byte = rates(network, senders, receivers)
    if network.is_free:
        return per_byte * 0.0
    return np.where(
        np.asarray(senders) == np.asarray(receivers), 0.0, network.latency_seconds + np.asarray(sizes) * per_byte
    )


def rates(network: Network, senders: npt.ArrayLike, receivers: npt.ArrayLike) -> Floats:
    """Seconds per byte of each pair of nodes, broadcast."""
    sender, receiver = np.broadcast_arrays(np.asarray(senders), np.asarray(receivers))
    if network.pairs is not None:
        found: Floats = np.asarray(network.pairs, float)[sender, receiver]
        return found
    if network.cards is not None:
        cards = np.asarray(network.cards, float)
        return np.where(sender == receiver, 0.0, np.maximum(cards[sender], cards[receiver]))
    return np.where(sender == receiver, 0.0, network.uniform or 0.0)


def cards_of(network: Network, node_count: int) -> Floats:
    """[m] seconds per byte of each node's network card: with `pairs`, of the fastest link from it."""
    if network.cards is not None:
        return np.asarray(network.cards, float)
    if network.pairs is None:
        return np.full(node_count, network.uniform or 0.0)
    if node_count < 2:
        return np.zeros(node_count)
    fastest: Floats = np.where(np.eye(node_count, dtype=bool), np.inf, np.asarray(network.pairs, float)).min(axis=1)
    return fastest


__all__ = ["alone_seconds", "cards_of", "rates"]
