"""Run by an interpreter that has kfp: the three-task pipeline under `kfp.local`; prints seconds per task as JSON.

Twice: as components are by default (each task looks for the kfp package with pip first), and without that.
"""

import json
import logging
import statistics
import tempfile
import time

from kfp import dsl, local

ROUNDS = 3


def nothing(value: int) -> int:
    return value


def seconds_per_task(*, with_package: bool) -> float:
    step = dsl.component(nothing, install_kfp_package=with_package)

    @dsl.pipeline
    def three() -> int:
        return step(value=step(value=step(value=0).output).output).output

    seconds = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        three()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds) / 3


def main() -> None:
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as root:
        local.init(local.SubprocessRunner(use_venv=False), pipeline_root=root)
        answer = {"default": seconds_per_task(with_package=True), "bare": seconds_per_task(with_package=False)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
