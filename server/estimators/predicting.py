"""What a fitted component foretells: of queries of any kind, or of many profiles on many machines at once.

How alike a query and the runs are has a part that the profile decides, one that the machine decides, and one where both
must be the same (parameters on a machine). Of many profiles on many machines the first two are worked out once each.
Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), equations 2.25 and 2.26.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from server.estimators.bands import usual_sd
from server.estimators.covariance import (
    INPUT_SPREAD,
    LEVEL_MEAN,
    LEVEL_SPREAD,
    NUMBER_SPREAD,
    RIGID,
    VERSION_SPREAD,
    alike,
    same,
    same_parameters,
    same_size,
)
from server.estimators.fitted import Fit
from server.estimators.machines import Array, Indices
from server.estimators.points import Points, Terms

BEYOND_SPREAD = 0.07
"""Standard deviation that is added per factor e by which inputs are larger than any that ran: no law of growth is known
to hold there."""

LEAST_VARIANCE, LEAST_SLOPE = 1e-6, -0.95
FEW_MACHINES = 3
"""On more machines than so many, what profiles and machines say is worked out apart."""

FEW_MEANS, HALVINGS = 2_000, 10
ALMOST_HALF, HALF = 0.5 - 1e-5, 0.5 - 1e-12
"""Of more figures than so many the medians are looked for by halving so often, roughly, what they lie in; what is left
is gone through in order. That is quicker than sorting all."""

MOST_AT_ONCE = 400_000
"""So many figures of one kind are worked on at once: what a processor's cache holds."""

Bands = tuple[Array, Array, Array]
"""Median of log seconds, and standard deviations downwards and upwards."""


def predict(fitted: Fit, queries: Points, terms: Terms) -> Bands:
    """One band per query."""
    points = fitted.points
    machine, node = (same(getattr(queries, name), getattr(points, name)) for name in ("machine", "node"))
    key = same_parameters(queries, points)
    centred, query_centred = fitted.terms.factor - fitted.usual_factor, terms.factor - fitted.usual_factor
    base = _of_profiles(fitted, queries, key) + _of_machines(fitted, machine, terms)
    squares = fitted.squares
    parts = np.stack([key, machine, node, key * machine, alike(fitted.usual_size, queries, points)])
    rigid = base + np.tensordot(squares[:, RIGID], parts, axes=1)
    cross = rigid + squares[:, 4, None, None] * (query_centred[:, None] * centred)
    total = _alone(queries) + _alone_there(terms) + squares[:, RIGID].sum(axis=1)[:, None]
    variance = total + squares[:, 4, None] * query_centred**2 - ((cross @ fitted.inverse) * cross).sum(axis=2)
    sds = _spreads(fitted, variance, _unlearnt(fitted, queries))
    rows, columns = fitted.pairs
    means = (rigid @ fitted.solved)[rows, :, columns] + _slopes(fitted, centred)[:, None] * query_centred
    if fitted.scale.is_growing:
        means = means + fitted.scale.growth(queries.log_size, queries.numbers, fitted.columns)[:, columns].T
    middle, down, up = _mixed(fitted, means.T, sds)
    return middle + LEVEL_MEAN + terms.factor, *_widened(fitted, queries, down, up)


def predict_all(fitted: Fit, profiles: Points, machines: Points, terms: Terms) -> Bands:
    """Bands of every profile (rows) on every machine or node of one (columns): as of each alone, but sooner.

    Of `profiles` counts all but where they run, of `machines` only that; `terms` are those of the machines.
    """
    shape = (len(profiles.log_size), len(machines.machine))
    middle, down, up = (np.empty(shape) for _ in range(3))
    if shape[1] <= FEW_MACHINES:
        return _in_pairs(fitted, profiles, machines, terms)
    there = _There(fitted, machines, terms)
    for some in _alike_parameters(profiles, len(there.factor) * max(len(fitted.pairs[0]), 1)):
        middle[some], down[some], up[some] = there.bands(profiles.chosen(some))
    return middle, down, up


def _in_pairs(fitted: Fit, profiles: Points, machines: Points, terms: Terms) -> Bands:
    """On few machines: every pair is a query of its own."""
    shape = (len(profiles.log_size), len(machines.machine))
    profile, place = (found.ravel() for found in np.indices(shape))
    figures = max(len(fitted.hypotheses) * len(fitted.points.weight), len(fitted.pairs[0]))
    most = max(MOST_AT_ONCE // figures, 1)
    found = []
    for begin in range(0, len(profile), most):
        where = place[begin : begin + most]
        some = profiles.chosen(profile[begin : begin + most])
        queries = replace(some, machine=machines.machine[where], node=machines.node[where])
        found.append(predict(fitted, queries, terms.chosen(where)))
    middle, down, up = (np.concatenate(parts).reshape(shape) for parts in zip(*found, strict=True))
    return middle, down, up


class _There:
    """What a fit says of some machines, whatever runs there."""

    def __init__(self, fitted: Fit, machines: Points, terms: Terms) -> None:
        self._fitted, self.factor = fitted, terms.factor
        points = fitted.points
        self._squares = fitted.squares
        self._machine, node = (same(getattr(machines, name), getattr(points, name)) for name in ("machine", "node"))
        parts = np.stack([self._machine, node])
        self._rigid = _of_machines(fitted, self._machine, terms) + np.tensordot(self._squares[:, [2, 3]], parts, axes=1)
        self._centred = fitted.terms.factor - fitted.usual_factor
        self._query_centred = terms.factor - fitted.usual_factor
        self._follows = self._squares[:, 4, None, None] * (self._query_centred[:, None] * self._centred)
        self._alone = _alone_there(terms) + self._squares[:, RIGID].sum(axis=1)[:, None]
        self._alone = self._alone + self._squares[:, 4, None] * self._query_centred**2

    def bands(self, profiles: Points) -> Bands:
        """Of profiles with parameters that are alike, of the first as of the last, on each machine."""
        fitted, squares = self._fitted, self._squares
        points, (rows, columns) = fitted.points, fitted.pairs
        key = same_parameters(profiles.chosen(np.arange(1)), points)
        left = alike(fitted.usual_size, profiles, points)
        of_profile = _of_profiles(fitted, profiles, key) + squares[:, 1, None, None] * key
        of_profile = of_profile + squares[:, 6, None, None] * left
        rigid = self._rigid + squares[:, 5, None, None] * (key * self._machine)
        there = rigid + self._follows
        solved = of_profile @ fitted.inverse
        variance = self._alone[:, None, :] + _alone(profiles)[:, None]
        variance = variance - (solved * of_profile).sum(axis=2)[:, :, None] - 2 * solved @ there.transpose(0, 2, 1)
        variance -= ((there @ fitted.inverse) * there).sum(axis=2)[:, None, :]
        sds = _spreads(fitted, variance, _unlearnt(fitted, profiles)[:, None])
        by_profile = (of_profile @ fitted.solved)[rows, :, columns]
        if fitted.scale.is_growing:
            grown = fitted.scale.growth(profiles.log_size, profiles.numbers, fitted.columns)
            by_profile = by_profile + grown[:, columns].T
        by_machine = (rigid @ fitted.solved)[rows, :, columns]
        by_machine = by_machine + _slopes(fitted, self._centred)[:, None] * self._query_centred
        means = by_profile.T[:, None, :] + by_machine.T[None, :, :]
        found = _mixed(fitted, means.reshape(-1, len(rows)), sds.reshape(len(sds), -1))
        middle, down, up = (one.reshape(means.shape[:2]) for one in found)
        return middle + LEVEL_MEAN + self.factor, *_widened(fitted, profiles, down, up)


def _alike_parameters(profiles: Points, figures: int) -> Iterator[Indices]:
    """Profiles with equal parameters (all that no run had count as equal), so many of them that each may have so many
    figures."""
    most = max(MOST_AT_ONCE // figures, 1)
    _, group = np.unique(np.stack([profiles.words, profiles.key]), axis=1, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    for some in np.split(order, np.flatnonzero(np.diff(group.ravel()[order])) + 1):
        for begin in range(0, len(some), most):
            yield some[begin : begin + most]


def _of_profiles(fitted: Fit, queries: Points, key: Array) -> Array:
    """Covariance of queries and runs as far as all hypotheses agree, and where both run does not matter."""
    points = fitted.points
    found: Array = (
        LEVEL_SPREAD**2
        + VERSION_SPREAD**2 * same(queries.version, points.version)
        + INPUT_SPREAD**2 * key * same_size(queries, points)
        + NUMBER_SPREAD**2 * (queries.numbers @ points.numbers.T)
    )
    return found


def _of_machines(fitted: Fit, machine: Array, terms: Terms) -> Array:
    """The same of where both run, whatever that is; `machine` is 1 where it is one."""
    between = fitted.terms.corrections.between(terms.place, fitted.terms.place)
    found: Array = machine * fitted.terms.variance + between
    return found


def _alone(queries: Points) -> Array:
    """Variance of queries as far as all hypotheses agree, whatever the machine."""
    numbers = NUMBER_SPREAD**2 * (queries.numbers**2).sum(axis=1)
    found: Array = LEVEL_SPREAD**2 + VERSION_SPREAD**2 + INPUT_SPREAD**2 + numbers
    return found


def _alone_there(terms: Terms) -> Array:
    """Variance of what is known of machines."""
    found: Array = terms.variance + np.diagonal(terms.corrections.between(terms.place, terms.place))
    return found


def machine_variance(fitted: Fit, terms: Terms) -> Array:
    """Variance of what is not known of how fast these machines are, beside those that the runs were on."""
    share, corrections, ran = fitted.points.weight / fitted.points.weight.sum(), terms.corrections, fitted.terms
    beside = corrections.between(terms.place, ran.place) @ share
    among = share @ corrections.between(ran.place, ran.place) @ share
    found: Array = np.maximum(_alone_there(terms) - 2 * beside + among, 0.0)
    return found


def _slopes(fitted: Fit, centred: Array) -> Array:
    """How much more or less than the usual task this component follows the machine's factor, per mean."""
    rows, columns = fitted.pairs
    squares = fitted.squares
    found: Array = np.maximum(squares[:, 4, None] * (centred @ fitted.solved), LEAST_SLOPE)[rows, columns]
    return found


def _unlearnt(fitted: Fit, queries: Points) -> Array:
    """Variance of what no run has shown."""
    found: Array = (BEYOND_SPREAD * fitted.beyond(queries)) ** 2 + queries.excess
    return found


def _spreads(fitted: Fit, variance: Array, unlearnt: Array) -> Array:
    """Standard deviations by hypothesis (first axis), noise among them."""
    shape = (-1, *[1] * (variance.ndim - 1))
    noise = fitted.squares[:, 0].reshape(shape)
    found: Array = np.sqrt(np.maximum(variance, LEAST_VARIANCE) + noise + unlearnt) * fitted.wider.reshape(shape)
    return found


def _medians(means: Array, shares: Array) -> Array:
    """The weighted median of each row: the least at which half of the weight is reached."""
    if means.size <= FEW_MEANS:
        order = np.argsort(means, axis=1)
        at = np.argmax(np.cumsum(shares[order], axis=1) >= 0.5, axis=1)
        queries = np.arange(len(means))
        return np.asarray(means[queries, order[queries, at]], dtype=float)
    rough, weights = means.astype(np.float32), shares.astype(np.float32)
    low, high = rough.min(axis=1) - np.float32(1e-3), rough.max(axis=1)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        is_reached = (rough <= middle[:, None]).astype(np.float32) @ weights >= ALMOST_HALF
        low, high = np.where(is_reached, low, middle), np.where(is_reached, middle, high)
    found: Array = np.where(rough > low[:, None], means, np.inf).min(axis=1)
    rest = np.arange(len(means))
    for _ in range(means.shape[1]):
        rest = rest[(means[rest] <= found[rest, None]) @ shares < HALF]
        if not len(rest):
            break
        found[rest] = np.where(means[rest] > found[rest, None], means[rest], np.inf).min(axis=1)
    return found


def _widened(fitted: Fit, queries: Points, down: Array, up: Array) -> tuple[Array, Array]:
    """Bands of queries (first axis) of unknown size, or with words that no run had."""
    shape = (-1, *[1] * (down.ndim - 1))
    if (unsized := np.isnan(queries.log_size)).any():
        below, above = fitted.unsized()
        of = unsized.reshape(shape)
        down, up = np.hypot(down, below * of), np.hypot(up, above * of)
    if (unworded := queries.words < 0).any():
        apart = fitted.unworded() * unworded.reshape(shape)
        down, up = np.hypot(down, apart), np.hypot(up, apart)
    return down, up


def _mixed(fitted: Fit, means: Array, sds: Array) -> Bands:
    """The band of a mixture, per query: `means` has one column per pair of hypothesis and growth, `sds` one row per
    hypothesis."""
    shares = fitted.weights[fitted.pairs]
    shares = shares / shares.sum()
    middle = _medians(means, shares)
    apart = means - middle[:, None]
    all_squares = np.square(apart) @ (2 * shares)
    np.minimum(apart, 0.0, out=apart)
    down = np.square(apart, out=apart) @ (2 * shares)
    up = np.maximum(all_squares - down, 0.0)
    by_hypothesis = fitted.weights.sum(axis=1)
    own = usual_sd(by_hypothesis / by_hypothesis.sum(), sds) ** 2
    return middle, np.sqrt(own + down), np.sqrt(own + up)


__all__ = ["Bands", "machine_variance", "predict", "predict_all"]
