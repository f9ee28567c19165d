"""The program of the placer's worker process: `python -m server.components.placer_workers.worker`.

It holds one strategy, warm, and answers placement requests over its standard streams, so that a stranger's code can
neither block nor crash the server. It never outlives the server: it ends when its input does, and the kernel kills it
when its parent dies. `server.components.placer_workers.process` is the other end.

A frame is eight bytes of length and a pickle. Requests come in as parcels (`parcels`, beside this file); answers go out
as plain tuples, so that the server never unpickles anything but numbers and texts from here.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import io
import os
import pickle
import queue
import signal
import struct
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Any, BinaryIO

from server.components.collecting import uncollected
from server.components.placer_workers.parcels import Shelf
from server.domain.placement import Hold, Placement, PlacementPlan, PlacementRequest
from server.domain.run import TaskKey
from server.placers.interface import PlacerInterface

HEADER = struct.Struct(">Q")
LARGEST_FRAME_BYTES = 1 << 30
_PR_SET_PDEATHSIG = 1
_TRACE_LINES = 30


def main() -> None:
    """Serve until the input ends."""
    requests, answers = _take_over_streams()
    _die_with_parent()
    frames: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_frames, args=(requests, frames), daemon=True).start()
    placer = _say_hello(pickle.loads(frames.get()), answers)
    if placer is not None:
        _get_warm(placer, answers)
        gc.freeze()  # what is loaded by now stays: looking through it for garbage would only make answers late
    shelf = Shelf()
    while placer is not None:
        write_frame(answers, _answer(placer, shelf, frames.get()))


def load_class(path: str) -> type[PlacerInterface]:
    """The class at `package.module:Class`. Raises ValueError that says what is wrong with it."""
    module_name, _, class_name = path.partition(":")
    if not module_name or not class_name:
        raise ValueError(f"{path!r} is not of the form package.module:Class")
    module = importlib.import_module(module_name)
    found: Any = module
    for part in class_name.split("."):
        if not hasattr(found, part):
            raise ValueError(f"module {module_name!r} has no {class_name!r}")
        found = getattr(found, part)
    if not isinstance(found, type) or not issubclass(found, PlacerInterface):
        raise ValueError(f"{path} does not inherit server.placers.interface.PlacerInterface")
    missing = [name for name in ("name", "summary") if not isinstance(getattr(found, name, None), str)]
    missing += sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}")
    return found


def flatten(plan: PlacementPlan) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """A plan as plain tuples. Raises TypeError where a part is not what it should be."""
    if not isinstance(plan, PlacementPlan):
        raise TypeError(f"place() returned {type(plan).__name__}, not a PlacementPlan")
    placements = [
        (
            str(placed.run_id),
            *_flat_key(placed),
            str(placed.node),
            str(placed.option),
            _flat_instant(placed.planned_start_at),
            _flat_instant(placed.planned_finish_at),
            None if placed.score is None else float(placed.score),
            str(placed.reason),
            None if placed.gain_seconds is None else float(placed.gain_seconds),
        )
        for placed in _all(plan.placements, Placement)
    ]
    holds = [(str(hold.run_id), *_flat_key(hold), str(hold.reason)) for hold in _all(plan.holds, Hold)]
    return placements, holds


def unflatten(placements: list[tuple[Any, ...]], holds: list[tuple[Any, ...]]) -> PlacementPlan:
    """The plan that `flatten` took apart."""
    return PlacementPlan(
        tuple(
            Placement(run_id, TaskKey(path, iteration), node, option, _instant(start), _instant(finish), *rest)
            for run_id, path, iteration, node, option, start, finish, *rest in placements
        ),
        tuple(Hold(run_id, TaskKey(path, iteration), reason) for run_id, path, iteration, reason in holds),
    )


def loads_plain(frame: bytes) -> Any:
    """Unpickle numbers, texts and containers of them; anything else raises pickle.UnpicklingError."""
    return _PlainUnpickler(io.BytesIO(frame)).load()


def write_frame(stream: BinaryIO, payload: Any) -> None:
    """Pickle and send."""
    frame = pickle.dumps(payload, pickle.HIGHEST_PROTOCOL)
    stream.write(HEADER.pack(len(frame)))
    stream.write(frame)
    stream.flush()


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"the worker sent a {module_name}.{global_name}")


def _take_over_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes for us: what a strategy prints goes to the error stream, and it reads nothing."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def _die_with_parent() -> None:
    """Have the kernel kill us when the parent dies, even in the middle of a computation (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _read_frames(stream: BinaryIO, frames: queue.SimpleQueue[bytes]) -> None:
    """Read until the server closes its end, then end the process whatever the strategy is doing."""
    while True:
        header = stream.read(HEADER.size)
        if len(header) < HEADER.size:
            os._exit(0)
        frames.put(stream.read(HEADER.unpack(header)[0]))


def _say_hello(order: dict[str, Any], answers: BinaryIO) -> PlacerInterface | None:
    """Load the strategy and describe it, or say why that did not work."""
    sys.path[:] = order["path"]
    try:
        found = load_class(order["placer"])
        placer = found()
    except BaseException as error:
        write_frame(answers, (0, ("unusable", _one_line(error), _trace(error))))
        return None
    write_frame(answers, (0, ("ready", found.name, found.summary, found.source, found.version)))
    return placer


def _get_warm(placer: PlacerInterface, answers: BinaryIO) -> None:
    """Let the strategy get ready; one that cannot will say why when it is asked."""
    try:
        placer.warm()
    except BaseException as error:
        sys.stderr.write(f"{placer.name} could not get ready: {_trace(error)}\n")
    write_frame(answers, (0, ("warm",)))


def _answer(placer: PlacerInterface, shelf: Shelf, frame: bytes) -> tuple[int, tuple[Any, ...]]:
    """The serial number of the request, with the plan or what went wrong."""
    with uncollected():
        parcel = pickle.loads(frame)
        return _placed(placer, parcel.serial, shelf.unpacked(parcel))


def _placed(placer: PlacerInterface, serial: int, request: PlacementRequest) -> tuple[int, tuple[Any, ...]]:
    try:
        return serial, ("plan", *flatten(placer.place(request)))
    except (Exception, SystemExit) as error:
        return serial, ("error", _one_line(error), _trace(error))


def _all(parts: Any, kind: type) -> Any:
    for part in parts:
        if not isinstance(part, kind):
            raise TypeError(f"the plan holds a {type(part).__name__} where a {kind.__name__} belongs")
    return parts


def _flat_key(part: Any) -> tuple[str, tuple[int, ...]]:
    if not isinstance(part.key, TaskKey):
        raise TypeError(f"the key {part.key!r} is not a TaskKey")
    return part.key.path, part.key.iteration


def _flat_instant(at: datetime | None) -> float | None:
    if at is None:
        return None
    if at.tzinfo is None:
        raise TypeError(f"the planned instant {at} has no time zone")
    return at.timestamp()


def _instant(timestamp: float | None) -> datetime | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC)


def _one_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}"[:500] if text else type(error).__name__


def _trace(error: BaseException) -> str:
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(lines[-_TRACE_LINES:])


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        main()
