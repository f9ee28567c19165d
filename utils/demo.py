"""`make demo`: a server with the local platform, the five example pipelines against it at once, and what came out.

Everything it makes lies in one folder below `results/demo`. When it ends, or is interrupted, nothing of it runs on.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from mlopx.cli.gantt import gantt_svg, gantt_text, summary
from mlopx.cli.output import span, state, table
from mlopx.cli.watching import so_far
from mlopx.errors import MlopxError
from mlopx.remote import Client

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
ENDS = ("succeeded", "failed", "cancelled")


def main() -> int:
    """Run the demo; 0 if all runs succeeded."""
    folder = ROOT / "results" / "demo" / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    out = Console(highlight=False)
    url = f"http://127.0.0.1:{free_port()}"
    out.print(f"starting the server at {url}, with virtual nodes on this machine …")
    server = start_server(folder, url)
    try:
        client = Client(url)
        wait_until_ready(client, server, folder)
        ids = submit_all(url, out)
        runs = follow(client, ids, out)
        return report(runs, client.get("/api/v1/nodes")["nodes"], folder, out)
    except KeyboardInterrupt:
        out.print("\ninterrupted: stopping the server and all tasks …")
        return 130
    except MlopxError as error:
        out.print(f"error: {error}", markup=False)
        return 1
    finally:
        stop(server)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_server(folder: Path, url: str) -> subprocess.Popen[bytes]:
    """A server of its own, which ends its node agents when it ends."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MLOPX_")}
    settings = {
        "STATE_DIR": str(folder / "state"),
        "DATASETS_PATH": str(ROOT / "data"),
        "SECRETS_DIR": str(folder / "secrets"),
        "AGENT_GRACE_SECONDS": "0",
        "PLATFORM": "local",
    }
    make_secrets(folder / "secrets")
    port = url.rsplit(":", 1)[1]
    with open(folder / "server.log", "wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "server.main:app", "--port", port, "--no-access-log"],
            cwd=ROOT,
            env={**clean, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def make_secrets(folder: Path) -> None:
    """The secrets that the examples refer to, with values made up for the demo."""
    for name, key in (("model-registry", "signing"),):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / key).write_text("only-for-the-demo\n")


def wait_until_ready(client: Client, server: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait for the server. Raises MlopxError if it does not come up."""
    for _ in range(START_SECONDS * 5):
        if server.poll() is not None:
            raise MlopxError(f"the server ended at once; its log is {folder / 'server.log'}")
        try:
            with socket.create_connection(("127.0.0.1", int(client.url.rsplit(":", 1)[1])), 1):
                break
        except OSError:
            time.sleep(0.2)
    client.get("/readyz")


def submit_all(url: str, out: Console) -> list[str]:
    """Run every example file as a plain script, all at once; the ids of the runs."""
    files = sorted((ROOT / "pipelines").glob("*.py"))
    env = {**os.environ, "MLOPX_URL": url}
    scripts = [
        subprocess.Popen(
            [sys.executable, str(file)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for file in files
    ]
    ids = []
    for file, script in zip(files, scripts, strict=True):
        said, _ = script.communicate()
        if script.returncode != 0:
            raise MlopxError(f"python pipelines/{file.name} failed:\n{said}")
        ids.append(said.split(" as run ")[1].split()[0])
        out.print(f"  python pipelines/{file.name:<14} -> run {ids[-1]}")
    return ids


def follow(client: Client, ids: list[str], out: Console) -> list[dict[str, Any]]:
    """Show what runs where until all have ended."""
    with Live(console=out, refresh_per_second=4, transient=True) as live:
        while True:
            runs = [client.get(f"/api/v1/runs/{name}") for name in ids]
            if all(run["state"] in ENDS for run in runs):
                return runs
            if out.is_terminal:
                live.update(frame(runs, client.get("/api/v1/nodes")["nodes"], out.width))
            time.sleep(0.5)


def frame(runs: list[dict[str, Any]], nodes: list[dict[str, Any]], width: int) -> Group:
    """One picture of the progress."""
    rows = []
    for run in runs:
        done = sum(task["state"] in ("succeeded", "skipped") for task in run["tasks"])
        busy = [f"{task['key']} on {task['node']}" for task in run["tasks"] if task["state"] == "running"]
        rows.append((run["name"], state(run["state"]), f"{done} of {len(run['tasks'])}", ", ".join(busy)[:60]))
    chart = gantt_text([so_far(run) for run in runs], nodes, min(width, 100))
    return Group(table(("run", "state", "tasks", "runs now"), rows), Text(), Text(chart))


def report(runs: list[dict[str, Any]], nodes: list[dict[str, Any]], folder: Path, out: Console) -> int:
    """Print the tables and the chart, write the picture, and say where everything lies."""
    times = ("waiting", "execution", "turnaround")
    rows = [(run["id"], state(run["state"]), *(span(run[f"{name}_seconds"]) for name in times)) for run in runs]
    out.print()
    out.print(table(("run", "state", *times), rows, right=times))
    out.print()
    out.print(Text(gantt_text(runs, nodes, min(out.width, 100))))
    figures = summary(runs, nodes)
    out.print()
    out.print(f"makespan {span(figures.makespan_seconds)}, mean waiting time {span(figures.mean_waiting_seconds)}")
    out.print("utilisation  " + "  ".join(f"{name} {share:.0%}" for name, share in figures.utilisation.items()))
    picture = folder / "gantt.svg"
    picture.write_text(gantt_svg(runs, nodes, "What ran where"))
    out.print()
    out.print(f"picture    {picture.relative_to(ROOT)}")
    out.print(f"outputs    {(folder / 'state' / 'artifacts' / 'runs').relative_to(ROOT)}")
    out.print(f"server log {(folder / 'server.log').relative_to(ROOT)}")
    failed = [run for run in runs if run["state"] != "succeeded"]
    for run in failed:
        out.print(f"\n{run['id']} {run['state']}: {run['error']}", markup=False)
    return 1 if failed else 0


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server; it ends its agents, and they their tasks."""
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


if __name__ == "__main__":
    sys.exit(main())
