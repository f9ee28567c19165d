"""`python -m mlopx`: the `mlopx` command."""

from mlopx.cli import main

main()
