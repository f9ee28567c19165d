"""What a task may touch when the server is root: it runs as a user without rights, yet must be able to read Python.

The interpreter may lie where that user cannot go (a 0700 home). Three ways, in this order:

- `plain`: the user can read all that is needed as it is.
- `secluded`: in a mount namespace of the zygote, each closed folder on the way is covered by an empty one that shows
  nothing but the needed folders.
- `reading`: tasks keep one right, CAP_DAC_READ_SEARCH: they can read every file, and write only their own.

Where none works tasks run as the server's own user (`undropped`), and the agent's status says why.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

UNPRIVILEGED = 65534
PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 8, 47, 2
CAP_DAC_READ_SEARCH = 2
CLONE_NEWNS = 0x00020000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18


def python_folders() -> list[Path]:
    """Folders without which this interpreter cannot start or import."""
    executable = Path(sys.executable)
    found = [Path(sys.prefix), Path(sys.base_prefix), executable.parent, executable.resolve().parent.parent]
    found.extend(Path(entry) for entry in sys.path if entry)
    real = [path.resolve() for path in found if path.exists()]
    return sorted({*real, *(path.absolute() for path in found if path.exists())})


def choose(needed: Sequence[Path], uid: int) -> tuple[str, str]:
    """Make this process ready to fork tasks of user `uid`; returns the way, and why it is not a better one."""
    if _can_reach(needed, uid, keep_reading=False):
        return "plain", ""
    closed = next((path for path in needed if first_closed(path, uid)), needed[0])
    reason = f"user {uid} cannot read {closed}"
    try:
        seclude(needed, uid)
        if _can_reach(needed, uid, keep_reading=False):
            return "secluded", reason
    except OSError as error:
        reason = f"{reason}; a mount namespace cannot be made ({error.strerror})"
    if _can_reach(needed, uid, keep_reading=True):
        return "reading", reason
    return "undropped", f"{reason}, and the right to read files cannot be kept"


def first_closed(path: Path, uid: int) -> Path | None:
    """The uppermost folder on the way to `path` that the user may not enter, or None. Raises OSError."""
    for folder in (*reversed(path.parents), path):
        found = folder.stat()
        shift = 6 if found.st_uid == uid else 3 if found.st_gid == uid else 0
        if stat.S_ISDIR(found.st_mode) and not (found.st_mode >> shift) & 1:
            return folder
    return None


def outermost(paths: Iterable[Path]) -> list[Path]:
    """Those of the paths that lie in no other of them."""
    kept: list[Path] = []
    for path in sorted(set(paths), key=lambda one: len(one.parts)):
        if not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return kept


def seclude(needed: Sequence[Path], uid: int) -> None:
    """Enter a mount namespace in which the user can reach what is needed. Raises OSError."""
    _call("unshare", ctypes.c_int(CLONE_NEWNS))
    _mount(None, "/", None, MS_REC | MS_PRIVATE, None)
    waiting = [path for path in needed if path.exists()]
    for _ in range(16):
        closed = {path: blocker for path in waiting if (blocker := first_closed(path, uid)) is not None}
        if not closed:
            return
        blocker = min(closed.values(), key=lambda folder: len(folder.parts))
        if blocker in closed:
            raise PermissionError(13, f"{blocker} itself is closed", str(blocker))
        _cover(blocker, outermost(path for path, folder in closed.items() if folder == blocker))


def _cover(folder: Path, shown: Sequence[Path]) -> None:
    """Put an empty folder over `folder`, and show in it these paths only."""
    handles = [os.open(path, os.O_PATH | os.O_CLOEXEC) for path in shown]
    try:
        _mount("tmpfs", str(folder), "tmpfs", 0, "mode=0755,size=1m")
        for path, handle in zip(shown, handles, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                path.mkdir(exist_ok=True)
            else:
                path.touch()
            _mount(f"/proc/self/fd/{handle}", str(path), None, MS_BIND | MS_REC, None)
        _mount(None, str(folder), None, MS_REMOUNT | MS_RDONLY, None)
    finally:
        for handle in handles:
            os.close(handle)


def drop_to(uid: int, *, keep_reading: bool) -> None:
    """Become a user without rights, for good. `keep_reading` keeps the right to read files, also across exec."""
    libc = ctypes.CDLL(None, use_errno=True)
    if keep_reading:
        libc.prctl(PR_SET_KEEPCAPS, *(ctypes.c_ulong(number) for number in (1, 0, 0, 0)))
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if keep_reading:
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        bit = 1 << CAP_DAC_READ_SEARCH
        _call("capset", header, (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0))
        raised = (PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0)
        _call("prctl", ctypes.c_int(PR_CAP_AMBIENT), *(ctypes.c_ulong(number) for number in raised))


def _can_reach(paths: Sequence[Path], uid: int, *, keep_reading: bool) -> bool:
    """Whether the user could use all these paths and run Python; asked by becoming it in a child."""
    child = os.fork()
    if child == 0:
        status = 2
        try:
            drop_to(uid, keep_reading=keep_reading)
            for path in (*paths, Path(sys.executable)):
                os.stat(f"{path}/." if path.is_dir() else path)
            status = 0
        except OSError:
            status = 1
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended) == 0


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None) -> None:
    texts = [text.encode() if text is not None else None for text in (source, target, kind, data)]
    _call("mount", texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3])


def _call(name: str, *arguments: object) -> None:
    """Call a function of the C library. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
