"""Every error the library raises on purpose, as one tree.

Each error says what was wrong, where (file and line of the user's code when known) and what to do. The command line
prints `message`, `where` and `hint`, and exits with `exit_code`; nobody sees a traceback of ours.
"""

from __future__ import annotations


class MlopxError(Exception):
    """Root of the tree.

    Attributes:
        code: stable machine-readable name of the kind of error.
        exit_code: what the `mlopx` command exits with.
        message: what was wrong.
        hint: what to do about it, or None.
        where: `file:line` in the user's code, or None.
    """

    code = "error"
    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, where: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        lines = [self.message]
        if self.where:
            lines.append(f"  at {self.where}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class DefinitionError(MlopxError):
    """The pipeline or a component is defined wrongly; found while building, before anything is sent."""

    code = "definition"
    exit_code = 2


class UnknownAttributeError(DefinitionError, AttributeError):
    """A definition asks a task, a component or a handle for something it does not have."""


class SpecError(MlopxError):
    """A document is not a valid `PipelineSpec`, or is of a version this library cannot read."""

    code = "spec"
    exit_code = 2


class UsageError(MlopxError):
    """The command or call got arguments it cannot use."""

    code = "usage"
    exit_code = 2


class ConnectionFailedError(MlopxError):
    """No server answered at the address."""

    code = "connection"
    exit_code = 3


class ServerError(MlopxError):
    """The server answered with a problem document (RFC 9457)."""

    code = "server"
    exit_code = 4

    def __init__(self, message: str, *, status: int, problem: str = "server", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.problem = problem


class RunFailedError(MlopxError):
    """A run that was waited for ended as failed or cancelled."""

    code = "run-failed"
    exit_code = 5
