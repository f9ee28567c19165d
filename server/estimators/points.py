"""Runs of a component as arrays, and what is known of the machines that they ran on: what the regression works with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from server.estimators.machines import NO_CORRECTIONS, Array, Corrections, Indices, Machine, MachineSpeeds


@dataclass(frozen=True, slots=True)
class Points:
    """Runs of one component, grouped: all arrays have one entry per group (`numbers` one row).

    `weight` is how many runs a group stands for; the whole numbers say which groups share a machine, a node, …;
    `words` those whose parameters are equal in all that is no number.
    `squares` is the sum of the squared deviations of a group's runs from each other, over `degrees` of freedom;
    `excess` is the variance of a strange group beside its noise, 0 for all others; of a query, that of what no run has
    shown.
    """

    log_seconds: Array
    weight: Array
    log_size: Array
    machine: Indices
    node: Indices
    version: Indices
    key: Indices
    words: Indices
    numbers: Array
    is_censored: Indices
    degrees: Array
    squares: Array
    excess: Array

    def chosen(self, which: Indices) -> Points:
        """Some of the groups."""
        return Points(*(getattr(self, name)[which] for name in Points.__slots__))


@dataclass(frozen=True, slots=True)
class Terms:
    """What is known of the machines of the points (or queries): log factor, variance of what is known of this machine
    alone, and place in `corrections`, per entry."""

    factor: Array
    variance: Array
    place: Indices
    corrections: Corrections

    @classmethod
    def of(cls, corrections: Corrections, kinds: Sequence[tuple[Machine, MachineSpeeds]]) -> Terms:
        """Of machines with these speeds."""
        return cls(*corrections.of(kinds), corrections)

    @classmethod
    def none(cls, count: int) -> Terms:
        """Where machines do not matter."""
        return cls(np.zeros(count), np.zeros(count), np.full(count, -1), NO_CORRECTIONS)

    def chosen(self, which: Indices) -> Terms:
        """Of some of the points."""
        return Terms(self.factor[which], self.variance[which], self.place[which], self.corrections)


__all__ = ["Points", "Terms"]
