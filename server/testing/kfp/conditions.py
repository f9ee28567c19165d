"""The conditions in compiled pipelines: a little CEL over the inputs of a task.

Source: what the SDK's compiler writes (`inputs.parameter_values['x'] == 'a' && int(…) > 3`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

_TOKEN = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|&&|\|\||!=|!|\btrue\b|\bfalse\b|\bnull\b""")
_PYTHON = {"&&": " and ", "||": " or ", "!": " not ", "true": "True", "false": "False", "null": "None"}
_FUNCTIONS: Mapping[str, Any] = {"int": int, "double": float, "string": str, "bool": bool, "size": len}


def holds(condition: str, parameters: Mapping[str, Any]) -> bool:
    """Whether a condition holds. Raises ValueError if it cannot be evaluated."""
    text = _TOKEN.sub(lambda found: _PYTHON.get(found.group(), found.group()), condition)
    names = {"__builtins__": {}, "inputs": SimpleNamespace(parameter_values=parameters), **_FUNCTIONS}
    try:
        return bool(eval(text.strip(), names))
    except Exception as error:
        raise ValueError(f"condition {condition!r} cannot be evaluated: {error}") from error
