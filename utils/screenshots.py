"""Takes the pictures of the dashboard in `images/`: they come from a test, which says what each of them must show.

`python utils/screenshots.py` needs Chromium and the development environment; it runs the example pipelines several
times, which takes some minutes. The pictures differ a little each time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEST = "tests/integration/server/ui/test_pictures.py"


def main() -> int:
    """Warm the strategies up, then have the test keep its pictures."""
    if shutil.which("chromium") is None:
        print("Chromium is not installed (Debian: apt-get install chromium)")
        return 1
    subprocess.run([sys.executable, "-m", "server.placers.warming"], cwd=ROOT, check=True)
    environment = {**os.environ, "DASHBOARD_PICTURES": str(ROOT / "images")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", TEST]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
