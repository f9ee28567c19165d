"""Which version of Kubeflow Pipelines runs there, and what follows: an older one drops silently what it does not know.

So a server whose version nobody knows (built from a branch, its tag hidden) counts as one older than all of them: what
we need works there for certain, and what only newer ones do is not written.
"""

from __future__ import annotations

from server.platforms.kubeflow.placing.configs import AFFINITY_SINCE

Version = tuple[int, int]
OLDEST: Version = (0, 0)


def read_version(text: str) -> Version | None:
    """Major and minor of `2.14.0`, `v2.5` or `2.17.0-rc.1`; None for what is no version."""
    parts = text.strip().removeprefix("v").split(".")
    is_version = len(parts) >= 2 and all(part.isascii() and part.isdigit() for part in parts[:2])
    return (int(parts[0]), int(parts[1])) if is_version else None


def taken_as(told: Version | None, stated: Version | None) -> Version:
    """The version that counts: what the settings state goes before what the server tells."""
    return stated or told or OLDEST


def said_of(text: str, told: Version | None, stated: Version | None) -> str:
    """The version in words, with what is not done because of it."""
    version = taken_as(told, stated)
    since = ".".join(map(str, AFFINITY_SINCE))
    if stated is not None:
        said = f"version {'.'.join(map(str, stated))} by KFP_VERSION (it tells {text or 'none'})"
    elif told is not None:
        said = f"version {text}"
    else:
        said = (
            f"version unknown (it tells {text or 'none'}) and taken as older than {since}; set KFP_VERSION if it is not"
        )
    return said if version >= AFFINITY_SINCE else f"{said}: nodes can be required there, not preferred (since {since})"


__all__ = ["OLDEST", "Version", "read_version", "said_of", "taken_as"]
