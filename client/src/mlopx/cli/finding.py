"""Finding a run by what people type: its id, a unique beginning of it, or `latest`."""

from __future__ import annotations

from urllib.parse import quote

from mlopx.errors import ServerError, UsageError
from mlopx.remote import Client

MOST_NAMED = 5


def find_run(client: Client, text: str) -> str:
    """The id of the run that is meant. Raises UsageError where that is not clear."""
    if text not in ("latest", ""):
        try:
            return str(client.get(f"/api/v1/runs/{quote(text, safe='')}")["id"])
        except ServerError as error:
            if error.status != 404:
                raise
    ids = [str(run["id"]) for run in client.get("/api/v1/runs", limit=200)["runs"]]
    if text == "latest":
        if not ids:
            raise UsageError("there are no runs yet", hint="submit one: `mlopx submit FILE`")
        return ids[0]
    found = [one for one in ids if text and one.startswith(text)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"there is no run {text!r}", hint="`mlopx runs` lists them")
    said = ", ".join(found[:MOST_NAMED]) + (f" or {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else "")
    raise UsageError(f"{text!r} could be {said}", hint="write more of the id")
