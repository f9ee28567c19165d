"""The `mlopx-server` command."""


def main() -> None:
    """Entry point of the `mlopx-server` command."""
    from server.cli.app import run

    run()


__all__ = ["main"]
