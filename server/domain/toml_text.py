"""TOML from the bytes of a file: whatever is in them, a document or a sentence on what is wrong."""

from __future__ import annotations

import tomllib
from typing import Any


def parse_toml(content: bytes) -> dict[str, Any]:
    """The document; a byte order mark, as some editors write it, does no harm. Raises ValueError that says why not."""
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"is not TOML: it is not UTF-8 text at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"is not TOML: {error}") from error
    except RecursionError as error:
        raise ValueError("is not TOML that can be read: it is nested too deeply") from error


__all__ = ["parse_toml"]
