"""How fast machines are to each other: one logarithmic time factor per class of nodes, shared by all components.

A factor starts from the measured speeds of the machine (its profile) and is corrected by what components that ran on
several machines show. The correction is exact Bayesian linear regression: each component adds what its runs say of the
differences between machines, with its own level taken out (cf. one factor per machine in Lotaru, Bader et al., 2022).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.domain.node import Node
from server.estimators.bands import SLOWEST, usual_sd

Array = NDArray[np.float64]
Indices = NDArray[Any]
"""Whole numbers or truth values."""

Machine = tuple[str, bool]
"""A class of nodes, and whether the work is done by its accelerators: the two have nothing to do with each other."""

KIND_WEIGHTS: Mapping[str, float] = {"single": 0.6, "gemm": 0.1, "memory": 0.2, "disk": 0.1}
"""How much each kind of work counts in a task of which nothing else is known."""

UNMEASURED_SHARE = 0.5
"""How far from the reference, beside the kinds that were measured, those are taken to be that were not."""

KIND_SPREAD = 0.2
"""How far a task's own mixture of kinds may be from these weights."""

CORES_SPREAD = 0.25
"""Exponent with which time may fall with the number of cores: unknown before runs show it."""

HELD_SPREAD, PROFILED_SPREAD, SPEED_SPREAD, UNSURE_SPREAD, UNKNOWN_SPREAD = 0.05, 0.06, 0.15, 0.3, 0.8
"""Error of a factor that is taken from the share of a core that a node is held to, from a profile of several kinds,
from one speed of a core (on the six machines of Lotaru's traces these two were 0.045 and 0.11), from one speed that is
of something else or that nobody looked at, or from nothing."""

SHARE, CORE = "share", "speed"
"""What stands for all kinds of work where none was measured: the share of a core that an embedded node is held to, else
the one speed of a core."""

NOBODYS = ((CORE, 1.0),)
"""What is known of a machine that nobody looked at."""

MOST_MACHINES = 256
SCALES: Array = np.array([0.01, 0.03, 0.1, 0.3, 0.7, 1.5, 3.0, 6.0, 12.0, 30.0])
SCALE_WEIGHTS: Array = np.array([0.04, 0.06, 0.1, 0.16, 0.22, 0.18, 0.12, 0.07, 0.03, 0.02])
"""How many times larger than expected the squared errors of profiles may be, and how likely each is beforehand."""


@dataclass(frozen=True, slots=True)
class MachineSpeeds:
    """What is known of a machine before anything ran on it.

    `speeds` by kind of work, 1 is the reference; `parallel` is how many times one core all cores are, 0 if unknown.
    `log_seconds` is the logarithm of the time factor that follows, `spread` its standard deviation.
    """

    speeds: tuple[tuple[str, float], ...]
    parallel: float
    log_seconds: float
    spread: float

    @classmethod
    def of(cls, node: Node, is_accelerated: bool) -> MachineSpeeds:
        """From a node's profile, or its one speed where it has no profile."""
        return cls.from_figures(node.speeds, node.speed, node.allocatable.cpu_millicores / 1000, is_accelerated)

    @classmethod
    def from_figures(
        cls, speeds: Mapping[str, float], speed: float, cores: float, is_accelerated: bool
    ) -> MachineSpeeds:
        """From speeds by kind; what is not positive is left out. An accelerator without a figure is unknown."""
        return _known_by(tuple(sorted(speeds.items())), speed, cores, is_accelerated)

    @property
    def is_unknown(self) -> bool:
        """Whether nothing was measured: a speed of 1 is what nodes have that nobody looked at."""
        return not self.speeds or self.speeds == NOBODYS


@lru_cache(maxsize=4 * MOST_MACHINES)
def _known_by(
    figures: tuple[tuple[str, float], ...], speed: float, cores: float, is_accelerated: bool
) -> MachineSpeeds:
    """Worked out once for all runs on a machine."""
    speeds = dict(figures)
    found = {kind: value for kind, value in speeds.items() if 0 < value < math.inf}
    wanted = ("gpu",) if is_accelerated else tuple(KIND_WEIGHTS) if KIND_WEIGHTS.keys() & found else (SHARE,)
    kinds = tuple((kind, found[kind]) for kind in wanted if kind in found)
    if not kinds and not (is_accelerated and speed == 1.0):
        kinds = (("node" if is_accelerated else CORE, min(max(speed, SLOWEST), 1 / SLOWEST)),)
    single, multi = speeds.get("single", 0.0), speeds.get("multi", 0.0)
    parallel = multi / single if single > 0 and multi > 0 else cores
    return MachineSpeeds(kinds, 0.0 if is_accelerated else parallel, *_prior(kinds))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one component says of the machines it ran on: a Gaussian in information form over their corrections."""

    machines: tuple[Machine, ...]
    precision: Array
    weighted: Array


@dataclass(frozen=True, slots=True)
class Corrections:
    """What runs add to the logarithm of each machine's time factor: means, and covariance by `index`.

    `scale` is how much larger the squared errors of profiles are than expected, as far as runs on several machines
    show.
    """

    index: Mapping[Machine, int]
    means: Array
    covariance: Array
    scale: float = 1.0

    def of(self, kinds: Sequence[tuple[Machine, MachineSpeeds]]) -> tuple[Array, Array, Indices]:
        """Log factor, prior variance and place in `covariance` of each machine.

        Those of which nothing is known yet have the place -1 and the variance of their profile's error; others 0.
        """
        at = np.array([self.index.get(machine, -1) for machine, _ in kinds], dtype=int)
        factors = np.array([speeds.log_seconds for _, speeds in kinds])
        apart = np.array([speeds.spread**2 * self.scale for _, speeds in kinds])
        if not self.index:
            return factors, apart, at
        known = at >= 0
        return factors + np.where(known, self.means[at], 0.0), np.where(known, 0.0, apart), at

    def between(self, left: Indices, right: Indices) -> Array:
        """Covariance of what is known of the machines at these places."""
        if not self.index:
            return np.zeros((len(left), len(right)))
        known = (left >= 0)[:, None] & (right >= 0)[None, :]
        found: Array = np.where(known, self.covariance[np.ix_(left, right)], 0.0)
        return found


NO_CORRECTIONS = Corrections({}, np.zeros(0), np.zeros((0, 0)))
"""Nothing ran yet."""


class MachineTable:
    """The machines that runs were seen on, with their speeds; bounded, the longest unseen goes first."""

    def __init__(self) -> None:
        self.known: OrderedDict[Machine, MachineSpeeds] = OrderedDict()

    def see(self, machine: Machine, speeds: MachineSpeeds) -> None:
        """Remember a machine's speeds; what is measured is kept over what is not."""
        old = self.known.get(machine)
        if old is None or not speeds.is_unknown:
            self.known[machine] = speeds
        self.known.move_to_end(machine)
        if len(self.known) > MOST_MACHINES:
            self.known.popitem(last=False)

    def corrections(self, evidence: Iterable[Evidence]) -> Corrections:
        """Posterior of every known machine's correction; exact."""
        machines = sorted(self.known)
        if not machines:
            return NO_CORRECTIONS
        index = {machine: number for number, machine in enumerate(machines)}
        covariance = _prior_covariance([self.known[machine] for machine in machines])
        precision, weighted = np.zeros_like(covariance), np.zeros(len(machines))
        for one in evidence:
            if all(machine in index for machine in one.machines):
                at = np.array([index[machine] for machine in one.machines])
                precision[np.ix_(at, at)] += one.precision
                weighted[at] += one.weighted
        return Corrections(index, *_posterior(covariance, precision, weighted))


def _posterior(covariance: Array, precision: Array, weighted: Array) -> tuple[Array, Array, float]:
    """Mean and covariance of the corrections, and scale of the prior: exact for every scale, each weighed by how well
    it explains what runs on several machines show."""
    if (np.diagonal(precision) > 0).sum() < 2:
        return *_scaled(covariance, precision, weighted, 1.0)[:2], 1.0
    found = [_scaled(covariance, precision, weighted, scale) for scale in SCALES]
    logs = np.array([log for _, _, log in found]) + np.log(SCALE_WEIGHTS)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    means = np.stack([mean for mean, _, _ in found])
    mean = weights @ means
    apart = (means - mean) * np.sqrt(weights)[:, None]
    posterior = sum(weight * one for weight, (_, one, _) in zip(weights, found, strict=True)) + apart.T @ apart
    return mean, posterior, float(usual_sd(weights, np.sqrt(SCALES)[:, None])[0]) ** 2


def _scaled(covariance: Array, precision: Array, weighted: Array, scale: float) -> tuple[Array, Array, float]:
    """The posterior with one scale, and the logarithm of how well that explains the runs."""
    # (C^-1 + P)^-1 = (I + C P)^-1 C needs no inverse of C, which may be singular
    whole = np.eye(len(weighted)) + scale * covariance @ precision
    posterior = np.linalg.solve(whole, scale * covariance)
    mean = posterior @ weighted
    log = 0.5 * (float(weighted @ mean) - float(np.linalg.slogdet(whole)[1]))
    return mean, (posterior + posterior.T) / 2, log


def machine_of(node_class: str, accelerators: Sequence[tuple[str, int]]) -> Machine:
    """The machine that nodes of a class are to a task with these accelerators."""
    return (node_class, bool(accelerators))


def _prior(kinds: Sequence[tuple[str, float]]) -> tuple[float, float]:
    if not kinds:
        return 0.0, UNKNOWN_SPREAD
    total = sum(KIND_WEIGHTS.get(kind, 1.0) for kind, _ in kinds)
    logs = [(KIND_WEIGHTS.get(kind, 1.0) / total, math.log(value)) for kind, value in kinds]
    mean = sum(weight * value for weight, value in logs)
    if kinds[0][0] in KIND_WEIGHTS:
        mean *= total + UNMEASURED_SHARE * (1 - total)
    apart = sum((KIND_SPREAD * (value - mean)) ** 2 for _, value in logs)
    return -mean, math.sqrt(_own_spread(kinds) ** 2 + apart)


def _own_spread(kinds: Sequence[tuple[str, float]], *, is_stated: bool = False) -> float:
    """`is_stated`: somebody looked at the machines, so that a speed of 1 is one."""
    if not kinds:
        return UNKNOWN_SPREAD
    if len(kinds) > 1:
        return PROFILED_SPREAD
    if kinds[0][0] == SHARE:
        return HELD_SPREAD
    is_core = kinds[0][0] in KIND_WEIGHTS or (kinds[0][0] == CORE and (is_stated or tuple(kinds) != NOBODYS))
    return SPEED_SPREAD if is_core else UNSURE_SPREAD


def _prior_covariance(machines: Sequence[MachineSpeeds]) -> Array:
    """Machines err alone, and together in how much cores and the kinds of work count."""
    kinds = sorted({kind for one in machines for kind, _ in one.speeds})
    features = np.zeros((len(machines), len(kinds) + 1))
    cores = [math.log(one.parallel) for one in machines if one.parallel > 0]
    usual = sum(cores) / len(cores) if cores else 0.0
    for row, one in enumerate(machines):
        for kind, value in one.speeds:
            features[row, kinds.index(kind)] = KIND_SPREAD * (math.log(value) + one.log_seconds)
        features[row, -1] = CORES_SPREAD * (math.log(one.parallel) - usual) if one.parallel > 0 else 0.0
    is_stated = any(one.speeds != NOBODYS for one in machines if one.speeds and one.speeds[0][0] == CORE)
    spreads = np.array([_own_spread(one.speeds, is_stated=is_stated) for one in machines])
    covariance: Array = features @ features.T + np.diag(spreads**2)
    return covariance


__all__ = [
    "NO_CORRECTIONS",
    "Array",
    "Corrections",
    "Evidence",
    "Indices",
    "Machine",
    "MachineSpeeds",
    "MachineTable",
    "machine_of",
]
