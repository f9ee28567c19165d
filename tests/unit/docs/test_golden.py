"""What is made from the code and kept in the repository is what the code makes now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_no_golden_file_is_stale(project_root: Path) -> None:
    command = [sys.executable, "utils/golden.py", "--check"]
    checked = subprocess.run(command, cwd=project_root, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
