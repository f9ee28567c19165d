"""Schedules through HTTP and the command: kept, shown, paused, forgotten, and refused where they make no sense."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from server.api.description import ANSWERS

BASE = "/api/v1/schedules"


def a_body(given: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"spec": given, "cron": "30 6 * * 1-5", "zone": "Europe/Berlin", **more}


async def test_a_schedule_is_kept_shown_paused_and_forgotten(
    api: Any, make_spec: Callable[..., dict[str, Any]]
) -> None:
    made = await api.http.post(BASE, json=a_body(make_spec("often"), parameters={"name": "Ada"}, overlap="Allow"))
    assert made.status_code == 201, made.text
    found = made.json()
    assert set(found) == set(ANSWERS[f"POST {BASE}"])
    assert (found["name"], found["overlap"], found["parameters"]) == ("often", "Allow", {"name": "Ada"})
    assert found["next_at"].endswith((":30:00+00:00",))
    assert found in (await api.get(BASE))["schedules"]
    assert await api.get(f"{BASE}/often") == found
    paused = await api.http.post(f"{BASE}/often/pause")
    assert (paused.json()["is_paused"], paused.json()["next_at"]) == (True, None)
    resumed = await api.http.post(f"{BASE}/often/resume")
    assert resumed.json()["next_at"] == found["next_at"]
    assert (await api.http.post(BASE, json=a_body(make_spec("often")))).status_code == 409
    assert (await api.http.delete(f"{BASE}/often")).status_code == 200
    assert (await api.http.get(f"{BASE}/often")).status_code == 404
    assert (await api.http.delete(f"{BASE}/often")).status_code == 404


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"cron": "every day"}, 422, "the cron expression 'every day' needs five fields and has 2"),
        ({"zone": "Mars/Base"}, 422, "there is no time zone 'Mars/Base'"),
        ({"parameters": {"nobody": 1}}, 422, "parameter 'nobody' is not one of this pipeline's"),
        ({"overlap": "Perhaps"}, 422, "overlap"),
        ({"webhook": "ftp://x"}, 422, "webhook"),
        ({"options": {"deadline_at": "2030-01-01T00:00:00Z"}}, 422, "cannot have one deadline for all its runs"),
        ({"name": "Not A Name"}, 422, "name"),
        ({"spec": None}, 422, "there is no pipeline in it"),
        ({"foreign": {"text": "a: b"}, "spec": None}, 422, "the local platform cannot run a compiled pipeline"),
    ],
)
async def test_a_schedule_that_could_never_work_is_refused_when_it_is_made(
    api: Any, make_spec: Callable[..., dict[str, Any]], read_problem: Any, changes: Any, status: int, said: str
) -> None:
    answer = await api.http.post(BASE, json=a_body(make_spec("odd"), **changes))
    read_problem(answer, status, said)


async def test_the_server_submits_it_when_it_is_due(api: Any, make_spec: Callable[..., dict[str, Any]]) -> None:
    services = api.app.state.services
    await api.http.post(BASE, json=a_body(make_spec("soon"), cron="* * * * *"))
    kept = services.store.schedules.get("soon")
    services.store.schedules.save(_due_a_moment_ago(kept))
    services.schedules._recurrence.wake()
    async with asyncio.timeout(60):
        while not (await api.get(f"{BASE}/soon"))["last_run_id"]:
            await asyncio.sleep(0.02)
    await api.http.post(f"{BASE}/soon/pause")
    shown = await api.get(f"{BASE}/soon")
    run = await api.ended(shown["last_run_id"])
    assert run["state"] == "succeeded"
    assert run["labels"]["mlopx.dev/schedule"] == "soon"
    assert shown["firings"][0]["outcome"] == "submitted"


def _due_a_moment_ago(schedule: Any) -> Any:
    from dataclasses import replace
    from datetime import timedelta

    return replace(schedule, handled_until=schedule.handled_until - timedelta(minutes=1))
