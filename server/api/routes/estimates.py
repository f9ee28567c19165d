"""How good the estimates are."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from server.api.access import Parts

router = APIRouter(prefix="/api/v1/estimates", tags=["estimates"])


@router.get("/calibration", summary="How good the predictions were")
async def calibration(parts: Parts) -> dict[str, Any]:
    """Errors and coverage of past predictions per component and node class, how long tasks take to start (where the
    platform tells it apart, in its queue and while images are pulled), and how often bands of starts and ends that
    were foretold held, per kind and strategy (0.8 is right)."""
    found = parts.estimator.calibration
    overall = found.overall()
    queue = parts.estimator.waits.queue()
    return {
        "runs": found.runs,
        "widening": found.widening(),
        "overall": None if overall is None else _figures(asdict(overall)),
        "components": [_figures(asdict(one)) for one in found.qualities()],
        "starts": [_figures(asdict(one)) for one in parts.estimator.starts.all()],
        "queue": None if queue is None else _figures(asdict(queue)),
        "pulls": [
            _figures({"image": image, "pulls": count, "p50_seconds": seconds})
            for image, count, seconds in parts.estimator.waits.pulled()
        ],
        "forecasts": [_figures({**asdict(one), "coverage": one.coverage}) for one in parts.forecasts.reliabilities()],
    }


def _figures(one: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in one.items()}
