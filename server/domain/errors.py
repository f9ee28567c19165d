"""Every error the server raises on purpose, as one tree. The API turns a leaf into an RFC 9457 problem by itself.

A leaf has a `code` (stable, part of the problem's type), an HTTP `status`, a message that says what was wrong and
where, and a hint on what to do.
"""

from __future__ import annotations


class MlopxError(Exception):
    """Root of the tree."""

    code = "internal"
    status = 500
    title = "Something went wrong in the server"

    def __init__(self, message: str, *, hint: str | None = None, details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        parts = [self.message, *(f"  {line}" for line in self.details)]
        if self.hint:
            parts.append(f"  hint: {self.hint}")
        return "\n".join(parts)


class InvalidSubmissionError(MlopxError):
    """What was submitted is not a usable pipeline."""

    code = "invalid-submission"
    status = 422
    title = "The submission cannot be used"


class InvalidRequestError(MlopxError):
    """A part of the request that cannot be read."""

    code = "invalid-request"
    status = 422
    title = "The request cannot be used"


class UnplaceableError(MlopxError):
    """A task that no node of the cluster could ever hold."""

    code = "unplaceable"
    status = 422
    title = "No node can ever run this"


class TooLargeError(MlopxError):
    """An upload over the limit."""

    code = "too-large"
    status = 413
    title = "The upload is too large"


class NotFoundError(MlopxError):
    """No such run, task, node or artifact."""

    code = "not-found"
    status = 404
    title = "Not found"


class ConflictError(MlopxError):
    """The thing asked for does not fit the present state, or somebody else changed it first."""

    code = "conflict"
    status = 409
    title = "In conflict with the present state"


class VersionConflictError(ConflictError):
    """A run was changed by somebody else between load and save."""

    code = "version-conflict"


class UnauthorizedError(MlopxError):
    """The caller may not do this."""

    code = "unauthorized"
    status = 401
    title = "Not authorised"


class ForbiddenError(MlopxError):
    """Refused whoever asks: a foreign Host or Origin."""

    code = "forbidden"
    status = 403
    title = "Forbidden"


class UnavailableError(MlopxError):
    """The server cannot do this right now; trying again later can work."""

    code = "unavailable"
    status = 503
    title = "Not available right now"


class StorageFullError(UnavailableError):
    """The disk is full; nothing was accepted."""

    code = "storage-full"
    status = 507
    title = "The disk is full"


class PlatformError(MlopxError):
    """The platform refused or failed a call. `is_retryable` says whether the same call may work later; `is_unsure`,
    whether it, or one before it, may be carried out all the same."""

    code = "platform"
    status = 502
    title = "The platform did not do it"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        details: tuple[str, ...] = (),
        is_retryable: bool = False,
        is_unsure: bool = False,
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.is_retryable, self.is_unsure = is_retryable, is_unsure


class ConfigurationError(MlopxError):
    """A setting, the cluster file or a plug-in is unusable; the server does not start."""

    code = "configuration"
    title = "The configuration is unusable"


class PlacerError(MlopxError):
    """A strategy raised, was late or answered nonsense."""

    code = "placer"
    title = "The placement strategy failed"


class IllegalTransitionError(MlopxError):
    """An event that the state table does not allow; carries the run's story."""

    code = "illegal-transition"
    title = "A state change that must not happen"
