"""What is wrong with a scenario, in one sentence that names the file and the key."""

from __future__ import annotations

from pydantic import ValidationError

from server.domain.errors import MlopxError


class ScenarioError(MlopxError):
    """A scenario, or a file it names, that cannot be used."""

    code = "invalid-scenario"
    status = 422
    title = "The scenario cannot be used"


def sentence(error: ValidationError) -> str:
    """The first thing that is wrong, with the key where it is."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "there is no such key"
    elif first["type"] == "missing":
        message = "is missing"
    return f"{place}: {message}" if place else message


__all__ = ["ScenarioError", "sentence"]
