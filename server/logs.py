"""How log lines look: plain text for people, or one JSON object a line for machines, with ids as keys."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Literal

from server.components.chronicle import FIELDS

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """One JSON object a line: `at`, `level`, `logger`, `message`, then the ids that the record carries."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        found: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        found |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False, default=str)


def log_as(form: Literal["text", "json"]) -> None:
    """Write the log in this form. Text leaves handlers that are there alone; JSON gives all of them the form."""
    logging.basicConfig(level=logging.WARNING, format=TEXT)
    if form == "json":
        web = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.error", "uvicorn.access")]
        for logger in (logging.getLogger(), *web):
            for handler in logger.handlers:
                handler.setFormatter(JsonLines())


__all__ = ["JsonLines", "log_as"]
