"""Examples of data sets: photos in an object store, with a copy on one node."""

from __future__ import annotations

from typing import Any

DATASET: dict[str, Any] = {
    "name": "photos",
    "place": "s3://bucket/photos",
    "size_bytes": 4_000_000_000,
    "digest": "",
    "registered_at": "2026-01-31T12:00:00.000000Z",
    "bytes_per_second": 100e6,
    "is_kept_where_read": True,
    "copies": [{"node": "quick", "seen_at": "2026-01-31T12:05:00.000000Z", "source": "a task that read it"}],
}
FOUND: dict[str, Any] = {
    "datasets": [
        {
            "name": "irises",
            "path": "irises.csv",
            "size_bytes": 4551,
            "modified_at": "2026-01-31T12:00:00.000000Z",
            "files": 1,
        },
    ],
    "registered": [DATASET],
    "at": "2026-01-31T12:06:00.000000Z",
}
BASE = "/api/v1/datasets"
ANSWERS: dict[str, Any] = {
    "GET /datasets/": FOUND,
    f"GET {BASE}": FOUND,
    f"POST {BASE}": {**DATASET, "copies": []},
    f"GET {BASE}/{{name}}": DATASET,
    f"DELETE {BASE}/{{name}}": DATASET,
    f"POST {BASE}/{{name}}/copies/{{node}}": DATASET,
    f"DELETE {BASE}/{{name}}/copies/{{node}}": {**DATASET, "copies": []},
}
BODIES: dict[str, Any] = {
    f"POST {BASE}": {
        "name": "photos",
        "place": "s3://bucket/photos",
        "size_bytes": 4_000_000_000,
        "bytes_per_second": 100e6,
        "is_kept_where_read": True,
    },
}

__all__ = ["ANSWERS", "BODIES", "DATASET"]
