"""Speaking with the placement server: a client for its HTTP API, and handles to runs."""

from mlopx.remote.client import Client
from mlopx.remote.foreign import ForeignPipeline, compile_function, read_foreign
from mlopx.remote.runs import RunHandle, submit

__all__ = ["Client", "ForeignPipeline", "RunHandle", "compile_function", "read_foreign", "submit"]
