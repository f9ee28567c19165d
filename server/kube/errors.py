"""What can go wrong with the Kubernetes API, as far as callers act differently on it."""

from __future__ import annotations

from server.domain.errors import UnavailableError


class KubeError(UnavailableError):
    """A call failed; `status_code` is the answer's, or None when there was none."""

    code = "kubernetes"
    title = "The Kubernetes API did not answer as hoped"

    def __init__(self, message: str, *, hint: str | None = None, status_code: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status_code = status_code


class KubeDeniedError(KubeError):
    """We may not do this (401, 403)."""

    code = "kubernetes-denied"


class KubeMissingError(KubeError):
    """There is no such object, or no such kind of object (404)."""

    code = "kubernetes-missing"


class KubeExpiredError(KubeError):
    """The resource version is too old (410), or a page or watch took too long (504): list again."""

    code = "kubernetes-expired"


def error_of(status_code: int, message: str) -> KubeError:
    """The error for an answer."""
    if status_code in (401, 403):
        hint = "`mlopx-server check --rbac` lists the permissions and what is lost without each"
        return KubeDeniedError(message, hint=hint, status_code=status_code)
    if status_code == 404:
        return KubeMissingError(message, status_code=status_code)
    if status_code in (410, 504):
        return KubeExpiredError(message, status_code=status_code)
    return KubeError(message, status_code=status_code)
