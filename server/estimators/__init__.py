"""Estimators: how many seconds a task takes on a node. `estimators` names those that come with the server."""

from server.estimators.chain import ChainEstimator
from server.estimators.declared import DeclaredEstimator
from server.estimators.history import HistoryEstimator
from server.estimators.interface import EstimatorInterface

estimators: dict[str, type[EstimatorInterface]] = {
    "declared": DeclaredEstimator,
    "history": HistoryEstimator,
    "chain": ChainEstimator,
}

__all__ = ["estimators"]
