"""Bayesian regression of one component's logarithmic run times, exact for every hypothesis on a small grid.

A run's log seconds are: the component's level + growth with the inputs + the machine's factor (which this component may
follow more or less) + own deviations of a machine, a node, a version of the code, a set of parameters + noise. All but
the growth are Gaussian, so they are one covariance (partial pooling: what was seen rarely leans on what is shared).
No law of growth holds exactly: what it leaves over is alike for inputs of about one size, so that the runs with the
largest inputs say most of still larger ones. Growth, noise and the size of the deviations are averaged over the grid by
how well each explains the runs.
Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), equations 2.25, 2.26, 2.30 and 5.12.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from server.estimators.bands import Z90
from server.estimators.censored import LONGER, LONGER_SPREAD, longer
from server.estimators.covariance import (
    GRID,
    GRID_PRIOR,
    INPUT_SPREAD,
    LEVEL_MEAN,
    LEVEL_SPREAD,
    NOISES,
    NUMBER_SPREAD,
    RIGID,
    VERSION_SPREAD,
    alike,
    covariances,
    same,
    same_parameters,
    same_size,
)
from server.estimators.machines import Array, Indices
from server.estimators.points import Points, Terms
from server.estimators.sizes import PRIOR, Scale
from server.estimators.strange import MOST_RUNS_OF_ONE, STRANGE_SPREAD, suspicion

MOST_WEIGHED, MOST_HYPOTHESES = 24, 4
"""The grid is weighed on so many of the groups; with more groups, so many of its entries are carried on."""

MOST_WEIGHED_AGAIN = 2
"""So many hypotheses are weighed again where few runs came to many."""

USUAL_ENTRY = int(np.argmax(GRID_PRIOR))
MOST_GROWTHS, LEAST_LOG = 40, -9.0
"""So many kinds of growth are weighed against all of the grid, those that the usual entry of the grid finds likely."""

MOST_KEPT, FEWEST_WEIGHT, FEWEST_SHARE = 8, 0.02, 0.01
BEYOND_SPREAD = 0.07
"""Standard deviation that is added per factor e by which inputs are larger than any that ran: no law of growth is known
to hold there."""

MOST_STRANGE = 2
"""So many runs of a component are taken for strange, where there are few of them."""

PRIOR_APART = 4.0
"""How many runs as far apart as the noise says stand beside those that are farther apart than the largest noise."""

TAIL, BISECTIONS, FARTHEST = 0.1, 8, 20.0
FEWEST_JUDGED, OUTLIER = 4, 2.5
"""With fewer groups none is looked at twice; so many standard deviations away runs count less, the further the less."""


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

    def varying(self, log_size: Array) -> Array:
        """Logarithm of the part of these sizes that varies between runs, as far as the runs show which that is."""
        if not self.scale.is_known:
            return log_size
        constant = int(self.likeliest_growth[0]) // len(PRIOR)
        found: Array = np.where(np.isnan(log_size), np.nan, self.scale.varying(log_size)[:, constant])
        return found

    @property
    def likeliest_growth(self) -> Indices:
        """The kind of growth that explains the runs best."""
        found: Indices = self.columns[[int(np.argmax(self.weights.sum(axis=0)))]]
        return found

    def unsized(self) -> tuple[float, float]:
        """How far below and above the usual size's the times of the known sizes are, as standard deviations of the
        logarithm: what is not known of inputs of unknown size."""
        known = self.points.log_size[~np.isnan(self.points.log_size)]
        if not len(known):
            return 0.0, 0.0
        low, high = np.quantile(self.scale.growth(known, self.likeliest_growth)[:, 0], (TAIL, 1 - TAIL))
        return max(-float(low), 0.0) / Z90, max(float(high), 0.0) / Z90

    def beyond(self, log_size: Array) -> Array:
        """Logarithm of how many times more varies than in the largest inputs that ran; 0 up to those."""
        if not self.scale.is_known:
            return np.zeros(len(log_size))
        found: Array = np.nan_to_num(self.varying(log_size) - self.varying(np.array([self.scale.largest])))
        return np.maximum(found, 0.0)

    def unworded(self) -> float:
        """How much further apart the times with different words among the parameters are than the hypotheses say, as a
        standard deviation of the logarithm: with ever new numbers, runs show little else of the parameters."""
        points = self.points
        if np.array_equal(points.words, points.key) or not points.words.any():
            return 0.0
        residual = points.log_seconds - self.terms.factor
        if self.scale.is_known:
            residual = residual - self.scale.growth(points.log_size, self.likeliest_growth)[:, 0]
        means = [float(residual[points.words == word].mean()) for word in np.unique(points.words)]
        told = float(self.weights.sum(axis=1) @ GRID[list(self.hypotheses), 1] ** 2 / self.weights.sum())
        return math.sqrt(max(float(np.var(means, ddof=1)) - told, 0.0))


def fit(points: Points, terms: Terms, grid_prior: Array, growth_prior: Array, before: Fit | None = None) -> Fit:
    """Weigh all hypotheses. Censored points (the run would have taken longer) are filled in from the others.

    With an earlier fit of the component, and many points, only its likeliest hypotheses are weighed: much quicker.
    """
    if points.is_censored.any():
        points = _filled(points, terms, grid_prior, growth_prior)
    unsized = np.isnan(points.log_size)
    if unsized.any() and not unsized.all():
        spread = sum(_fit(points.chosen(~unsized), terms.chosen(~unsized), grid_prior, growth_prior).unsized()) / 2
        points = replace(
            points,
            excess=np.where(unsized, np.maximum(points.excess, spread**2), points.excess),
            degrees=points.degrees * ~unsized,
            squares=points.squares * ~unsized,
        )
    found = _fit(points, terms, grid_prior, growth_prior, before)
    if len(points.weight) < FEWEST_JUDGED:
        return found
    for _ in range(MOST_STRANGE):
        strange = int(np.argmax(found.suspicion))
        if found.suspicion[strange] < 0.5:
            break
        excess = np.where(np.arange(len(points.excess)) == strange, STRANGE_SPREAD**2, points.excess)
        points = replace(points, excess=excess)
        found = _fit(points, terms, grid_prior, growth_prior, before)
    best = int(np.argmax(found.weights.sum(axis=1)))
    column = int(np.argmax(found.weights[best]))
    inverse = found.inverse[best]
    apart = np.abs(found.solved[best][:, column]) / np.sqrt(np.diagonal(inverse))
    if not (apart > OUTLIER).any():
        return found
    weight = points.weight * np.minimum(1.0, (OUTLIER / np.maximum(apart, 1e-9)) ** 2)
    entries = np.array(found.hypotheses)
    judged, prior = replace(points, weight=weight), found.grid_weights[found.places]
    again = _weighed(judged, terms, entries, prior, growth_prior, found.columns)
    return replace(again, grid_weights=found.grid_weights, places=found.places[again.places])


def predict(fitted: Fit, queries: Points, terms: Terms) -> tuple[Array, Array, Array]:
    """Median of log seconds, and standard deviations downwards and upwards, per query."""
    points = fitted.points
    machine, node = (same(getattr(queries, name), getattr(points, name)) for name in ("machine", "node"))
    key = same_parameters(queries, points)
    centred, query_centred = fitted.terms.factor - fitted.usual_factor, terms.factor - fitted.usual_factor
    base = (
        LEVEL_SPREAD**2
        + machine * fitted.terms.variance
        + fitted.terms.corrections.between(terms.place, fitted.terms.place)
        + VERSION_SPREAD**2 * same(queries.version, points.version)
        + INPUT_SPREAD**2 * key * same_size(queries, points)
        + NUMBER_SPREAD**2 * (queries.numbers @ points.numbers.T)
    )
    own = np.diagonal(terms.corrections.between(terms.place, terms.place))
    alone = LEVEL_SPREAD**2 + terms.variance + own + VERSION_SPREAD**2 + INPUT_SPREAD**2
    alone = alone + NUMBER_SPREAD**2 * (queries.numbers**2).sum(axis=1)
    squares = GRID[list(fitted.hypotheses)] ** 2
    parts = np.stack([key, machine, node, key * machine, alike(fitted.scale, queries, points)])
    rigid = base + np.tensordot(squares[:, RIGID], parts, axes=1)
    cross = rigid + squares[:, 4, None, None] * (query_centred[:, None] * centred)
    total = alone + squares[:, RIGID].sum(axis=1)[:, None] + squares[:, 4, None] * query_centred**2
    variance = total - ((cross @ fitted.inverse) * cross).sum(axis=2)
    beyond = fitted.beyond(queries.log_size)
    unlearnt = (BEYOND_SPREAD * beyond) ** 2 + queries.excess
    sds = np.sqrt(np.maximum(variance, 1e-6) + squares[:, 0, None] + unlearnt)
    sds *= fitted.wider[:, None]
    rows, columns = fitted.pairs
    slopes = np.maximum(squares[:, 4, None] * (centred @ fitted.solved), -0.95)[rows, columns]
    means = (rigid @ fitted.solved)[rows, :, columns] + slopes[:, None] * query_centred
    if fitted.scale.is_known:
        means = means + fitted.scale.growth(queries.log_size, fitted.columns)[:, columns].T
    middle, down, up = _mixed(fitted, terms, means.T, fitted.weights[rows, columns], sds)
    if (unsized := np.isnan(queries.log_size)).any():
        below, above = fitted.unsized()
        down, up = np.hypot(down, below * unsized), np.hypot(up, above * unsized)
    if (unworded := queries.words < 0).any():
        apart = fitted.unworded()
        down, up = np.hypot(down, apart * unworded), np.hypot(up, apart * unworded)
    return middle, down, up


def _mixed(fitted: Fit, terms: Terms, means: Array, shares: Array, sds: Array) -> tuple[Array, Array, Array]:
    order = np.argsort(means, axis=1)
    weights = (shares / shares.sum())[order]
    means = np.take_along_axis(means, order, axis=1)
    at = np.argmax(np.cumsum(weights, axis=1) >= 0.5, axis=1)
    middle = means[np.arange(len(means)), at]
    apart = means - middle[:, None]
    squares = 2 * weights * apart**2
    down, up = (squares * (apart < 0)).sum(axis=1), (squares * (apart > 0)).sum(axis=1)
    by_hypothesis = fitted.weights.sum(axis=1)
    own = _usual_sd(by_hypothesis / by_hypothesis.sum(), sds)
    return middle + LEVEL_MEAN + terms.factor, np.sqrt(own**2 + down), np.sqrt(own**2 + up)


def _usual_sd(weights: Array, sds: Array) -> Array:
    """Standard deviation of the normal variable that lies in the middle 80 % as often as this mixture, per query.

    Found by bisection, with Bowling's approximation of the normal distribution (2009), right to 1.4e-4.
    """
    low, high = sds.min(axis=0), sds.max(axis=0)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        at = np.minimum(Z90 * middle / sds, FARTHEST)
        above = weights @ (1 / (1 + np.exp(1.5976 * at + 0.07056 * at**3)))
        low, high = np.where(above > TAIL, middle, low), np.where(above > TAIL, high, middle)
    found: Array = (low + high) / 2
    return found


def evidence(fitted: Fit, machines: int, factor: Array) -> tuple[Array, Array]:
    """What the runs say of corrections to these factors of the machines, the level taken out: precision and weighted
    mean."""
    points, terms = fitted.points, fitted.terms
    best = int(np.argmax(fitted.weights.sum(axis=1)))
    column = int(np.argmax(fitted.weights[best]))
    residual = points.log_seconds - factor - LEVEL_MEAN
    if fitted.scale.is_known:
        residual = residual - fitted.scale.growth(points.log_size, fitted.columns[[column]])[:, 0]
    certain = replace(Terms.none(len(terms.factor)), factor=terms.factor)
    covariance = covariances(points, certain, fitted.usual_factor, np.array([fitted.hypotheses[best]]))[0]
    belongs = (points.machine[:, None] == np.arange(machines)[None, :]).astype(float)
    solved = np.linalg.solve(covariance, np.column_stack([belongs, residual]))
    return belongs.T @ solved[:, :machines], belongs.T @ solved[:, machines]


def _fit(points: Points, terms: Terms, grid_prior: Array, growth_prior: Array, before: Fit | None = None) -> Fit:
    count = len(points.weight)
    entries = np.arange(len(GRID))
    if count <= MOST_WEIGHED:
        return _weighed(points, terms, entries, grid_prior, growth_prior)
    if before is not None:
        likeliest = np.argsort(before.weights.sum(axis=1), kind="stable")[-MOST_WEIGHED_AGAIN:]
        best = np.sort(np.array(before.hypotheses)[likeliest])
        is_alike = len(Scale.of(points.log_size).constants) == len(before.scale.constants)
        columns = before.columns if is_alike and before.scale.is_known else None
        found = _weighed(points, terms, best, before.grid_weights[best], growth_prior, columns)
        return replace(found, grid_weights=before.grid_weights, places=best[found.places])
    some = np.unique(np.linspace(0, count - 1, MOST_WEIGHED).astype(int))
    few = _weighed(points.chosen(some), terms.chosen(some), entries, grid_prior, growth_prior)
    best = np.sort(np.argsort(few.grid_weights, kind="stable")[-MOST_HYPOTHESES:])
    found = _weighed(points, terms, best, few.grid_weights[best], growth_prior)
    return replace(found, grid_weights=few.grid_weights, places=best[found.places])


def _weighed(
    points: Points,
    terms: Terms,
    entries: Indices,
    grid_prior: Array,
    growth_prior: Array,
    likely: Indices | None = None,
) -> Fit:
    """Posterior weights of these entries of the grid with every growth, or these kinds of it that are known to be
    likely, and the solved systems of those that count."""
    scale = Scale.of(points.log_size)
    usual_factor = float(np.average(terms.factor, weights=points.weight))
    residuals = (points.log_seconds - terms.factor - LEVEL_MEAN)[:, None]
    covariance = covariances(points, terms, usual_factor, entries)
    columns = np.zeros(1, dtype=int)
    inverse = np.linalg.inv(covariance)
    if scale.is_known:
        growth_prior = scale.prior(growth_prior)
        grown = residuals - scale.growth(points.log_size, likely)
        columns = _likely(inverse[_typical(entries)], grown, growth_prior) if likely is None else likely
        residuals = grown[:, columns] if likely is None else grown
    growth_prior = growth_prior[columns]
    solved = inverse @ residuals
    log_determinants = 2 * np.log(np.diagonal(np.linalg.cholesky(covariance), axis1=1, axis2=2)).sum(axis=1)
    noise = GRID[entries, 0] ** 2
    degrees = points.degrees.sum()
    apart = (residuals * solved).sum(axis=1) + (points.squares.sum() / noise)[:, None]
    evidences = -0.5 * (apart + log_determinants[:, None] + degrees * np.log(noise)[:, None])
    logs = evidences + np.log(grid_prior)[:, None] + np.log(growth_prior)[None, :]
    may_be = (points.excess == 0) & (points.weight < MOST_RUNS_OF_ONE)
    suspected = suspicion(logs, inverse, solved, may_be if len(may_be) <= MOST_WEIGHED else np.zeros_like(may_be))
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    by_grid = weights.sum(axis=1)
    kept = np.sort(np.argsort(by_grid, kind="stable")[-MOST_KEPT:])
    kept = kept[by_grid[kept] >= FEWEST_WEIGHT * by_grid.max()]
    usual_apart = (weights[kept] * apart[kept]).sum(axis=1) / by_grid[kept]
    excess = (PRIOR_APART + usual_apart) / (PRIOR_APART + len(points.weight) + degrees)
    return Fit(
        points=points,
        terms=terms,
        scale=scale,
        usual_factor=usual_factor,
        hypotheses=tuple(entries[kept].tolist()),
        weights=weights[kept],
        inverse=inverse[kept],
        solved=solved[kept],
        pairs=np.nonzero(weights[kept] > FEWEST_SHARE * weights.max()),
        places=kept,
        grid_weights=by_grid,
        columns=columns,
        growth_weights=np.bincount(
            columns % len(PRIOR), weights.sum(axis=0), len(PRIOR) if scale.is_known else 1
        ).astype(float),
        suspicion=suspected,
        wider=np.where(GRID[entries[kept], 0] == NOISES[-1], np.sqrt(np.maximum(excess, 1.0)), 1.0),
    )


def _typical(entries: Indices) -> int:
    """The place of the usual noise and deviations among these entries, or of what is nearest to them."""
    return int(np.argmin(np.abs(entries - USUAL_ENTRY)))


def _likely(inverse: Array, residuals: Array, prior: Array) -> Indices:
    """The kinds of growth that explain the runs at all, if noise and deviations are as usual."""
    logs = np.log(prior) - 0.5 * (residuals * (inverse @ residuals)).sum(axis=0)
    order = np.argsort(-logs, kind="stable")[:MOST_GROWTHS]
    likely: Indices = np.sort(order[logs[order] > logs[order[0]] + LEAST_LOG])
    return likely


def _filled(points: Points, terms: Terms, grid_prior: Array, growth_prior: Array) -> Points:
    """Replace each censored time by an unsure one that says the same: that it is longer.

    Expectation propagation, one pass: with what the other runs foretell, it has the mean and the variance of what is
    above the limit. Rasmussen and Williams (2006), equations 3.58 and 3.59. Equal limits say nothing of noise.
    """
    censored = points.is_censored
    seconds, excess = points.log_seconds.copy(), points.excess.copy()
    if censored.all():
        seconds, excess = seconds + LONGER, np.full(len(excess), LONGER_SPREAD**2)
    else:
        fitted = _fit(points.chosen(~censored), terms.chosen(~censored), grid_prior, growth_prior)
        middle, _, up = predict(fitted, points.chosen(censored), terms.chosen(censored))
        for index, mean, sd in zip(np.flatnonzero(censored), middle, up, strict=True):
            seconds[index], excess[index] = longer(float(mean), float(sd), float(seconds[index]))
    told = ~censored
    return replace(
        points,
        log_seconds=seconds,
        excess=excess,
        weight=np.where(told, points.weight, 1.0),
        degrees=points.degrees * told,
        squares=points.squares * told,
    )


__all__ = ["Fit", "evidence", "fit", "predict"]
