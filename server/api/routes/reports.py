"""What the strategy saved: measured against runs that were left to the platform, or simulated and labelled so."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from server.api.access import Parts
from server.api.problems import responses
from server.api.report_views import report_view

router = APIRouter(prefix="/api/v1", tags=["report"])


@router.get("/report", responses=responses(422), summary="What the strategy saved")
async def report(parts: Parts, days: Annotated[int, Query(ge=1, le=3660)] = 30) -> dict[str, Any]:
    """The last `days`. `kind` is `measured` where enough runs were left out (setting HOLDOUT), with intervals of 95 %;
    else `simulated`, with the simulator's error: `status` is `working` until that is done, ask again then."""
    return report_view(await parts.reporter.report(days))
