"""The pipelines that are measured: they do nothing, or burn a known amount of CPU."""

from __future__ import annotations

from mlopx import component, pipeline

CHAIN_LENGTH = 100


@component
def nothing(value: int = 0) -> int:
    return value


@component
def burn(seconds: float, processes: int = 1) -> float:
    import os
    import time

    def work(cpu_seconds: float) -> None:
        end = time.process_time() + cpu_seconds
        while time.process_time() < end:
            sum(range(2000))

    begin = time.monotonic()
    children = []
    for _ in range(processes - 1):
        child = os.fork()
        if child == 0:
            work(seconds / processes)
            os._exit(0)
        children.append(child)
    work(seconds / processes)
    for child in children:
        os.waitpid(child, 0)
    return time.monotonic() - begin


@pipeline
def chain():
    value = 0
    for _ in range(CHAIN_LENGTH):
        value = nothing(value=value).request(cpu="100m").output


@pipeline
def three():
    value = 0
    for _ in range(3):
        value = nothing(value=value).request(cpu="100m").output


@pipeline
def single():
    nothing().request(cpu="100m")


@pipeline
def shares(full: float, half: float, quarter: float, processes: int = 1):
    burn(seconds=full, processes=processes).on_node("full").cache(False)
    burn(seconds=half, processes=processes).on_node("half").cache(False)
    burn(seconds=quarter, processes=processes).on_node("quarter").cache(False)


@pipeline
def alone(full: float):
    burn(seconds=full).on_node("full").cache(False)
