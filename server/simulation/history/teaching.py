"""The server's estimators, taught by all that is on record, as a server that starts now would have them."""

from __future__ import annotations

from server.components.historian import MOST_TAUGHT, observation_of
from server.estimators.chain import ChainEstimator
from server.stores.interface import RunStoreInterface


def taught(store: RunStoreInterface) -> ChainEstimator:
    """A new chain that has learnt the latest attempts on record."""
    estimator = ChainEstimator()
    after = max(store.last_finished_id() - MOST_TAUGHT, 0)
    while page := store.finished(after=after):
        estimator.teach([observation_of(one) for one in page])
        after = page[-1].id
    estimator.settle()
    return estimator


__all__ = ["taught"]
