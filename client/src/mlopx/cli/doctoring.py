"""`mlopx doctor`: is everything here and there as it should be, and what to do where it is not."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import mlopx
from mlopx.cli.output import say, show
from mlopx.errors import MlopxError, ServerError
from mlopx.remote import Client

LARGEST_SKEW_SECONDS = 5.0
MARGIN = " " * 7
IN_PIPES = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    detail: str
    advice: str = ""


def doctor(client: Client, *, as_json: bool) -> None:
    """Look at everything; exit 1 if something is wrong."""
    findings = [_python(), *_packages(), *_server(client)]
    if as_json:
        show([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            say(
                f"{'ok  ' if finding.ok else 'BAD '} {finding.what}: {finding.detail}",
                further=f"{MARGIN}  ",
                widest=IN_PIPES,
            )
            if finding.advice and not finding.ok:
                say(finding.advice, MARGIN, widest=IN_PIPES)
    if not all(finding.ok for finding in findings):
        raise SystemExit(1)


def _python() -> Finding:
    is_new_enough = sys.version_info >= (3, 11)
    return Finding("python", is_new_enough, platform.python_version(), "MLOpX needs Python 3.11 or newer")


def _packages() -> list[Finding]:
    """Ours, and none of another's: the name `mlopx` is taken on the package index by somebody else's release."""
    place = str(Path(mlopx.__file__).parent)
    try:
        ours = importlib.metadata.version("mlopx-client")
    except importlib.metadata.PackageNotFoundError:
        ours = "not installed as a package"
    found = [Finding("library", True, f"mlopx-client {ours}, in {place}")]
    try:
        foreign = importlib.metadata.version("mlopx")
    except importlib.metadata.PackageNotFoundError:
        return found
    advice = "run `pip uninstall mlopx`, then install mlopx-client again"
    return [*found, Finding("foreign package", False, f"a package named mlopx ({foreign}) of somebody else", advice)]


def _server(client: Client) -> list[Finding]:
    try:
        version = client.get("/version")["version"]
        date = client.server_date()
        preparing, nodes = _cluster(client)
        ready = client.readiness()
        checks = _checks(ready["status"], ready["checks"], preparing)
    except MlopxError as error:
        return [Finding("server", False, error.message, error.hint or "")]
    except (AttributeError, KeyError, TypeError):
        what = f"what answers at {client.url} is no MLOpX server"
        return [Finding("server", False, what, "set MLOPX_URL to where yours is")]
    is_same = version == mlopx.__version__
    advice = "install library and server of the same version"
    return [
        Finding("server", True, f"{client.url}, version {version}"),
        Finding("versions", is_same, f"library {mlopx.__version__}, server {version}", advice),
        nodes,
        *checks,
        *_clocks(date),
    ]


def _cluster(client: Client) -> tuple[str, Finding]:
    """What the server says while its strategy is prepared, and its nodes."""
    try:
        preparing = client.get("/").get("preparing") or ""
        names = [node["name"] for node in client.get("/api/v1/nodes")["nodes"]]
    except ServerError as error:
        if error.status in (401, 403):
            raise
        return "", Finding("nodes", False, error.message, error.hint or "see what is said of the server's parts")
    detail = f"{len(names)}: {', '.join(names)}" if names else "none"
    return preparing, Finding("nodes", bool(names), detail, "the server's platform has no nodes")


def _checks(status: str, checks: dict[str, dict[str, Any]], preparing: str) -> list[Finding]:
    if status == "not-ready" and not checks:
        return [Finding("server's start", False, "it has not started yet", "try again in a moment")]
    return [
        Finding(
            f"server's {name}",
            check["ok"],
            check["detail"] or "works",
            "that ends by itself" if preparing and check["detail"] == preparing else "see the server's log",
        )
        for name, check in checks.items()
    ]


def _clocks(date: str | None) -> list[Finding]:
    """How far the server's clock is from ours; nothing where it does not tell the time."""
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return []
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    skew = abs((datetime.now(UTC) - theirs).total_seconds())  # noqa: TID251 - compares clocks
    is_close = skew < LARGEST_SKEW_SECONDS
    return [Finding("clocks", is_close, f"{skew:.1f} s apart", "set the clock of one of the machines")]
