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

from dataclasses import replace

import numpy as np

from server.estimators.censored import LONGER, LONGER_SPREAD, longer
from server.estimators.covariance import (
    GRID,
    GRID_PRIOR,
    LEVEL_MEAN,
    NOISES,
    covariances,
)
from server.estimators.fitted import Fit
from server.estimators.machines import Array, Indices
from server.estimators.points import Points, Terms
from server.estimators.predicting import predict
from server.estimators.sizes import PRIOR, Scale
from server.estimators.strange import MOST_RUNS_OF_ONE, STRANGE_SPREAD, suspicion

MOST_WEIGHED, MOST_HYPOTHESES = 24, 4
"""The grid is weighed on so many of the groups; with more groups, so many of its entries are carried on."""

MOST_WEIGHED_AGAIN = 2
"""So many of the likeliest hypotheses of an earlier fit are weighed again, and others near them."""

USUAL_ENTRY = int(np.argmax(GRID_PRIOR))
MOST_GROWTHS, LEAST_LOG = 40, -9.0
"""So many kinds of growth are weighed against all of the grid, those that the usual entry of the grid finds likely."""

MOST_KEPT, FEWEST_WEIGHT = 8, 0.02
FEWEST_SHARE, SHARE_CARRIED = 0.01, 0.99
"""Pairs of a hypothesis and a growth are carried on down to so small a share of the likeliest, and as few of these as
make up so much of their weight."""

MOST_STRANGE = 2
"""So many runs of a component are taken for strange, where there are few of them."""

PRIOR_APART = 4.0
"""How many runs as far apart as the noise says stand beside those that are farther apart than the largest noise."""

FEWEST_JUDGED, OUTLIER = 4, 2.5
"""With fewer groups none is looked at twice; so many standard deviations away runs count less, the further the less."""


def fit(points: Points, terms: Terms, grid_prior: Array, growth_prior: Array, only: Indices | None = None) -> Fit:
    """Weigh all hypotheses. Censored points (the run would have taken longer) are filled in from the others.

    With `only` these entries of the grid are weighed (see `near`): much quicker.
    """
    if points.is_censored.any():
        points = _filled(points, terms, grid_prior, growth_prior, only)
    unsized = np.isnan(points.log_size)
    if unsized.any() and not unsized.all():
        sized = _fit(points.chosen(~unsized), terms.chosen(~unsized), grid_prior, growth_prior, only)
        off = np.zeros(len(unsized))
        off[unsized] = points.log_seconds[unsized] - predict(sized, points.chosen(unsized), terms.chosen(unsized))[0]
        spread = np.maximum(sum(sized.unsized()) / 2, np.abs(off))
        points = replace(
            points,
            excess=np.where(unsized, np.maximum(points.excess, spread**2), points.excess),
            degrees=points.degrees * ~unsized,
            squares=points.squares * ~unsized,
        )
    found = _fit(points, terms, grid_prior, growth_prior, only)
    if len(points.weight) < FEWEST_JUDGED:
        return found
    for _ in range(MOST_STRANGE):
        strange = int(np.argmax(found.suspicion))
        if found.suspicion[strange] < 0.5:
            break
        excess = np.where(np.arange(len(points.excess)) == strange, STRANGE_SPREAD**2, points.excess)
        points = replace(points, excess=excess)
        found = _fit(points, terms, grid_prior, growth_prior, only)
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


def fit_roughly(points: Points, terms: Terms, grid_prior: Array, growth_prior: Array, before: Fit | None) -> Fit:
    """What is quick, and does to compare a run with: hypotheses near those of an earlier fit, and one look.

    Points that were strange have an excess already; one that is found to be gets it for the next time.
    """
    entries = near(before)
    if points.is_censored.any() or np.isnan(points.log_size).any():
        return fit(points, terms, grid_prior, growth_prior, entries)
    likely = before.columns if before is not None and before.scale.has_hypotheses_of(_scale(points)) else None
    found = _weighed(points, terms, entries, grid_prior[entries], growth_prior, likely)
    if len(points.weight) >= FEWEST_JUDGED and found.suspicion.max() > 0.5:
        strange = np.arange(len(points.weight)) == int(np.argmax(found.suspicion))
        points = replace(points, excess=np.where(strange, STRANGE_SPREAD**2, points.excess))
    weights = np.zeros(len(GRID))
    weights[entries] = found.grid_weights
    return replace(found, points=points, grid_weights=weights, places=entries[found.places])


def near(fitted: Fit | None) -> Indices:
    """Entries of the grid near the likeliest of an earlier fit, or near the usual one: the best with every noise."""
    step = len(GRID) // len(NOISES)
    if fitted is None:
        likeliest = np.array([USUAL_ENTRY])
    else:
        order = np.argsort(fitted.weights.sum(axis=1), kind="stable")
        likeliest = np.array(fitted.hypotheses)[order[-MOST_WEIGHED_AGAIN:]]
    found: Indices = np.unique([*likeliest, *(likeliest[-1] % step + step * np.arange(len(NOISES)))])
    return found


def evidence(fitted: Fit, machines: int, factor: Array) -> tuple[Array, Array]:
    """What the runs say of corrections to these factors of the machines, the level taken out: precision and weighted
    mean."""
    points, terms = fitted.points, fitted.terms
    best = int(np.argmax(fitted.weights.sum(axis=1)))
    column = int(np.argmax(fitted.weights[best]))
    residual = points.log_seconds - factor - LEVEL_MEAN
    if fitted.scale.is_growing:
        residual = residual - fitted.scale.growth(points.log_size, points.numbers, fitted.columns[[column]])[:, 0]
    certain = replace(Terms.none(len(terms.factor)), factor=terms.factor)
    covariance = covariances(points, certain, fitted.usual_factor, np.array([fitted.hypotheses[best]]))[0]
    belongs = (points.machine[:, None] == np.arange(machines)[None, :]).astype(float)
    solved = np.linalg.solve(covariance, np.column_stack([belongs, residual]))
    return belongs.T @ solved[:, :machines], belongs.T @ solved[:, machines]


def _fit(points: Points, terms: Terms, grid_prior: Array, growth_prior: Array, only: Indices | None = None) -> Fit:
    entries = np.arange(len(GRID)) if only is None else only
    count, prior, weights = len(points.weight), grid_prior[entries], np.zeros(len(GRID))
    if count > MOST_WEIGHED:
        some = np.unique(np.linspace(0, count - 1, MOST_WEIGHED).astype(int))
        few = _weighed(points.chosen(some), terms.chosen(some), entries, prior, growth_prior)
        weights[entries] = few.grid_weights
        best = np.sort(np.argsort(few.grid_weights, kind="stable")[-MOST_HYPOTHESES:])
        entries, prior = entries[best], few.grid_weights[best]
    found = _weighed(points, terms, entries, prior, growth_prior)
    if count <= MOST_WEIGHED:
        weights[entries] = found.grid_weights
    return replace(found, grid_weights=weights, places=entries[found.places])


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
    scale = _scale(points)
    usual_factor = float(np.average(terms.factor, weights=points.weight))
    residuals = (points.log_seconds - terms.factor - LEVEL_MEAN)[:, None]
    covariance = covariances(points, terms, usual_factor, entries)
    columns = np.zeros(1, dtype=int)
    inverse = np.linalg.inv(covariance)
    if scale.is_growing:
        growth_prior = scale.prior(growth_prior)
        grown = residuals - scale.growth(points.log_size, points.numbers, likely)
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
        pairs=_pairs(weights[kept]),
        places=kept,
        grid_weights=by_grid,
        columns=columns,
        growth_weights=_growth_weights(scale, columns, weights.sum(axis=0)),
        suspicion=suspected,
        wider=np.where(GRID[entries[kept], 0] == NOISES[-1], np.sqrt(np.maximum(excess, 1.0)), 1.0),
    )


def _pairs(weights: Array) -> tuple[Indices, Indices]:
    """Rows and columns of the weights that count."""
    counted = np.sort(weights[weights > FEWEST_SHARE * weights.max()])
    least = counted[int(np.searchsorted(np.cumsum(counted), (1 - SHARE_CARRIED) * counted.sum()))]
    rows, columns = np.nonzero(weights >= least)
    return rows, columns


def _scale(points: Points) -> Scale:
    return Scale.of(points.log_size, points.numbers)


def _growth_weights(scale: Scale, columns: Indices, weights: Array) -> Array:
    """Of each share and exponent, as far as it is the size that time follows."""
    if not scale.is_known:
        return np.ones(1)
    drivers, pairs = (of[columns] for of in scale.hypotheses())
    own = drivers < len(scale.constants)
    return np.bincount(pairs[own], weights[own], len(PRIOR)).astype(float)


def _typical(entries: Indices) -> int:
    """The place of the usual noise and deviations among these entries, or of what is nearest to them."""
    return int(np.argmin(np.abs(entries - USUAL_ENTRY)))


def _likely(inverse: Array, residuals: Array, prior: Array) -> Indices:
    """The kinds of growth that explain the runs at all, if noise and deviations are as usual."""
    logs = np.log(prior) - 0.5 * (residuals * (inverse @ residuals)).sum(axis=0)
    order = np.argsort(-logs, kind="stable")[:MOST_GROWTHS]
    likely: Indices = np.sort(order[logs[order] > logs[order[0]] + LEAST_LOG])
    return likely


def _filled(points: Points, terms: Terms, grid_prior: Array, growth_prior: Array, only: Indices | None) -> Points:
    """Replace each censored time by an unsure one that says the same: that it is longer.

    Expectation propagation, one pass: with what the other runs foretell, it has the mean and the variance of what is
    above the limit. Rasmussen and Williams (2006), equations 3.58 and 3.59. Equal limits say nothing of noise.
    """
    censored = points.is_censored
    seconds, excess = points.log_seconds.copy(), points.excess.copy()
    if censored.all():
        seconds, excess = seconds + LONGER, np.full(len(excess), LONGER_SPREAD**2)
    else:
        fitted = _fit(points.chosen(~censored), terms.chosen(~censored), grid_prior, growth_prior, only)
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


__all__ = ["evidence", "fit", "fit_roughly"]
