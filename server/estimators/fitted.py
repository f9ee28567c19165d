"""A component's fitted regression: what its runs say of the laws that time follows, and what they leave open."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from server.estimators.bands import TAIL, Z90
from server.estimators.covariance import GRID, NUMBER_SPREAD, usual_size
from server.estimators.machines import Array, Indices
from server.estimators.points import Points, Terms
from server.estimators.sizes import Scale


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted component: the surviving hypotheses (entries of the grid), and what prediction needs of them.

    `places` are theirs in `grid_weights`, `columns` the kinds of growth that were weighed; `suspicion` is the
    probability that a point is strange; `wider` is how many times the noise of each hypothesis runs are apart, where
    that is more than the grid has.
    """

    points: Points
    terms: Terms
    scale: Scale
    usual_factor: float
    hypotheses: tuple[int, ...]
    weights: Array
    columns: Indices
    inverse: Array
    solved: Array
    pairs: tuple[Indices, ...]
    places: Indices
    grid_weights: Array
    growth_weights: Array
    suspicion: Array
    wider: Array
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What was worked out of it once."""

    def varying(self, points: Points) -> Array:
        """Logarithm of what varies between runs, as far as the runs show what that is; NaN for unknown sizes."""
        if not self.scale.is_growing:
            return points.log_size
        driver = int(self.scale.hypotheses()[0][self.likeliest_growth[0]])
        found = self.scale.varying(points.log_size, points.numbers)[:, driver]
        return np.where(np.isnan(points.log_size), np.nan, found) if self.scale.is_known else found

    @property
    def likeliest_growth(self) -> Indices:
        """The kind of growth that explains the runs best."""
        found: Indices = self._once("growth", lambda: self.columns[[int(np.argmax(self.weights.sum(axis=0)))]])
        return found

    @property
    def squares(self) -> Array:
        """The variances of each hypothesis: its row of the grid, squared."""
        found: Array = self._once("squares", lambda: GRID[list(self.hypotheses)] ** 2)
        return found

    @property
    def usual_size(self) -> float:
        """Logarithm of the usual size of the inputs."""
        found: float = self._once("usual size", lambda: usual_size(self.points))
        return found

    @property
    def largest_there(self) -> Array:
        """Per machine, as numbered, the logarithm of the most that varied between runs there (infinite where that is
        unknown of one); NaN for machines without runs, the last entry as well."""
        found: Array = self._once("largest", self._largest_there)
        return found

    def _largest_there(self) -> Array:
        known, machine = self.varying(self.points), self.points.machine
        largest = np.full(int(machine.max()) + 2, np.nan)
        for number in set(machine.tolist()):
            there = known[machine == number]
            largest[number] = math.inf if np.isnan(there).any() else there.max()
        return largest

    def _once(self, name: str, work: Callable[[], Any]) -> Any:
        if name not in self.memo:
            self.memo[name] = work()
        return self.memo[name]

    def unsized(self) -> tuple[float, float]:
        """How far below and above the usual size's the times of the known sizes are, as standard deviations of the
        logarithm: what is not known of inputs of unknown size."""
        found: tuple[float, float] = self._once("unsized", self._unsized)
        return found

    def _unsized(self) -> tuple[float, float]:
        known = self.points.log_size[~np.isnan(self.points.log_size)]
        if not len(known):
            return 0.0, 0.0
        usual = np.zeros((len(known), self.points.numbers.shape[1]))
        low, high = np.quantile(self.scale.growth(known, usual, self.likeliest_growth)[:, 0], (TAIL, 1 - TAIL))
        return max(-float(low), 0.0) / Z90, max(float(high), 0.0) / Z90

    def beyond(self, queries: Points) -> Array:
        """Logarithm of how many times more varies than in the largest of what ran; 0 up to that."""
        if not self.scale.is_growing:
            return np.zeros(len(queries.log_size))
        largest = self._once("largest of all", lambda: np.nanmax(self.varying(self.points)))
        apart = self.varying(queries) - largest
        found: Array = np.where(apart > 0, apart, 0.0)
        return found

    def unworded(self) -> float:
        """How much further apart the times with different words among the parameters are than the hypotheses say, as a
        standard deviation of the logarithm: with ever new numbers, runs show little else of the parameters."""
        found: float = self._once("unworded", self._unworded)
        return found

    def _unworded(self) -> float:
        points = self.points
        if np.array_equal(points.words, points.key) or not points.words.any():
            return 0.0
        residual = points.log_seconds - self.terms.factor
        if self.scale.is_growing:
            residual = residual - self.scale.growth(points.log_size, points.numbers, self.likeliest_growth)[:, 0]
        means = [float(residual[points.words == word].mean()) for word in np.unique(points.words)]
        told = float(self.weights.sum(axis=1) @ GRID[list(self.hypotheses), 1] ** 2 / self.weights.sum())
        return math.sqrt(max(float(np.var(means, ddof=1)) - told, 0.0))

    def unsure(self, query: Points, size_spread: float, number_spreads: Array) -> tuple[float, float]:
        """How far below and above the estimate of one query times may be since the size and numbers among the
        parameters are only foretold, with these standard deviations of their logarithms; as such, too."""
        best = int(np.argmax(self.weights.sum(axis=1)))
        solved = self.solved[best][:, int(np.argmax(self.weights[best]))]
        slopes = NUMBER_SPREAD**2 * self.points.numbers.T @ solved
        spreads = np.array([size_spread, *number_spreads])
        steps = np.concatenate([np.zeros((1, len(spreads))), np.diag(spreads), -np.diag(spreads)])
        sizes, numbers = query.log_size[0] + steps[:, 0], query.numbers[0] + steps[:, 1:]
        apart = (numbers - numbers[0]) @ slopes
        if self.scale.is_growing:
            grown = self.scale.growth(sizes, numbers, self.likeliest_growth)[:, 0]
            apart = apart + grown - grown[0]
        below, above = float(np.linalg.norm(np.minimum(apart, 0))), float(np.linalg.norm(np.maximum(apart, 0)))
        return below, above


__all__ = ["Fit"]
