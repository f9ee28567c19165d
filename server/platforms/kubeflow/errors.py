"""What can be wrong with a call of KFP's API."""

from __future__ import annotations

from server.domain.errors import PlatformError


class UnsureError(PlatformError):
    """Nobody can say whether the call was carried out."""

    code = "platform-unsure"


class RefusedError(PlatformError):
    """It does not know, or does not let, whoever called. Waiting mends that for us, not for a caller."""

    code = "platform-refused"

    def __init__(self, http_status: int, said: str, *, is_callers: bool) -> None:
        whom = "the caller" if is_callers else "us"
        hint = "send a credential that may do this" if is_callers else "see KFP_TOKEN_FILE, KFP_USER and KFP_COOKIE"
        super().__init__(f"Kubeflow refuses {whom}: {http_status} {said}", hint=hint, is_retryable=not is_callers)
        self.http_status, self.said = http_status, said


class GoneError(PlatformError):
    """There is no such run (any more)."""

    code = "platform-gone"


class ThereAlreadyError(PlatformError):
    """What was to be made is there: somebody else made it, or we did, and did not hear of it."""

    code = "platform-there-already"


__all__ = ["GoneError", "RefusedError", "ThereAlreadyError", "UnsureError"]
