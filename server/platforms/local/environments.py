"""Python environments for tasks whose packages the server's own one lacks: built once per set, then kept."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import logging
import os
import shutil
import site
import sys
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from server.domain.errors import PlatformError

log = logging.getLogger(__name__)


def missing_packages(packages: Sequence[str]) -> list[str]:
    """Those of the requirements that the server's own environment does not meet. Raises PlatformError for a bad one."""
    missing = []
    for text in packages:
        try:
            wanted = Requirement(text)
        except InvalidRequirement as error:
            raise PlatformError(f"package {text!r} is not a pip requirement: {error}") from error
        try:
            found = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(text)
            continue
        if not wanted.specifier.contains(found, prereleases=True):
            missing.append(text)
    return missing


class Environments:
    """Builds and keeps environments below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: dict[str, asyncio.Lock] = {}

    async def python_for(self, packages: Sequence[str]) -> str | None:
        """The interpreter to use: None for the server's own. Raises PlatformError naming what cannot be installed."""
        missing = missing_packages(packages)
        if not missing:
            return None
        tag = hashlib.sha256("\n".join([sys.version, *sorted(missing)]).encode()).hexdigest()[:16]
        home = self._folder / tag
        async with self._locks.setdefault(tag, asyncio.Lock()):
            if not (home / ".ready").exists():
                await self._build(home, missing)
        return str(home / "bin" / "python")

    async def _build(self, home: Path, packages: Sequence[str]) -> None:
        log.info("building an environment with %s", ", ".join(packages))
        self._folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(home, ignore_errors=True)
        record = self._folder / f"{home.name}.log"
        uv = shutil.which("uv")
        if uv is not None:
            make = [uv, "venv", "--python", sys.executable, str(home)]
            install = [uv, "pip", "install", "--python", str(home / "bin" / "python"), *packages]
        else:
            make = [sys.executable, "-m", "venv", str(home)]
            install = [str(home / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", *packages]
        for command in (make, install):
            status, text = await _run(command)
            record.write_text(text)
            if status != 0:
                shutil.rmtree(home, ignore_errors=True)
                last = next((line for line in reversed(text.splitlines()) if line.strip()), "")
                raise PlatformError(
                    f"the packages {', '.join(packages)} cannot be installed: {last.strip()[:300]}",
                    hint=f"check their names and versions; the whole log is {record}",
                )
        self._borrow_own_packages(home)
        (home / ".ready").touch()

    @staticmethod
    def _borrow_own_packages(home: Path) -> None:
        """Let the environment also see what the server's own has, behind what was installed for it."""
        (target,) = home.glob("lib/python*/site-packages")
        (target / "zz_mlopx_server.pth").write_text("\n".join(site.getsitepackages()) + "\n")


async def _run(command: Sequence[str]) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PIP_NO_INPUT": "1"},
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")
