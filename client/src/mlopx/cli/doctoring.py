"""`mlopx doctor`: is everything here and there as it should be, and what to do where it is not."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import mlopx
from mlopx.cli.output import show
from mlopx.errors import MlopxError
from mlopx.remote import Client

LARGEST_SKEW_SECONDS = 5.0


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
            sys.stdout.write(f"{'ok  ' if finding.ok else 'BAD '} {finding.what}: {finding.detail}\n")
            if finding.advice and not finding.ok:
                sys.stdout.write(f"       {finding.advice}\n")
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
        version = client.get("/version")
        date = client.server_date()
        ready = client.get("/readyz")
        nodes = client.get("/api/v1/nodes")["nodes"]
        preparing = client.get("/").get("preparing")
    except MlopxError as error:
        return [Finding("server", False, error.message, error.hint or "")]
    is_same = version["version"] == mlopx.__version__
    advice = "install library and server of the same version"
    names = ", ".join(node["name"] for node in nodes)
    found = [
        Finding("server", True, f"{client.url}, version {version['version']}"),
        Finding("versions", is_same, f"library {mlopx.__version__}, server {version['version']}", advice),
        Finding("nodes", bool(nodes), f"{len(nodes)}: {names}", "the server's platform has no nodes"),
    ]
    found.extend(
        Finding(
            f"server's {name}",
            check["ok"],
            check["detail"] or "works",
            "that ends by itself" if preparing and check["detail"] == preparing else "see the server's log",
        )
        for name, check in ready["checks"].items()
    )
    if date is not None:
        skew = abs((datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds())  # noqa: TID251 - compares clocks
        is_close = skew < LARGEST_SKEW_SECONDS
        found.append(Finding("clocks", is_close, f"{skew:.1f} s apart", "set the clock of one of the machines"))
    return found
