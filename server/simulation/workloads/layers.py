"""Random graphs of one pipeline: every task may wait for a few of the tasks before it."""

from __future__ import annotations

from random import Random


def random_graph(count: int, luck: Random, *, most: int = 3, sources: float = 0.2) -> list[tuple[int, ...]]:
    """For each of `count` tasks the earlier tasks that it waits for; about `sources` of them wait for none."""
    found: list[tuple[int, ...]] = [()]
    for index in range(1, count):
        if luck.random() < sources:
            found.append(())
            continue
        nearest = range(max(0, index - 5), index)
        found.append(tuple(sorted(luck.sample(nearest, min(luck.randint(1, most), len(nearest))))))
    return found


__all__ = ["random_graph"]
