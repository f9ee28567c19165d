"""The original's strategy, mended: shortest pipeline first, and a table that says which nodes suit which task."""

from server.placers.custom.placer import Custom

__all__ = ["Custom"]
