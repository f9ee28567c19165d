"""The `mlopx` command."""


def main() -> None:
    """Entry point of the `mlopx` command."""
    from mlopx.cli.app import run

    run()


__all__ = ["main"]
