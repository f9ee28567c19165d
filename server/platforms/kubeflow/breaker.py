"""Keeps from calling a server that does not answer: after some failures in a row, nobody calls for a while."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

FAILURES = 5
OPEN_SECONDS = 15.0


class Breaker:
    """Closed: calls go out. Open: they do not, but for one every `open_seconds` that tries whether they would be."""

    def __init__(
        self, now: Callable[[], datetime], *, failures: int = FAILURES, open_seconds: float = OPEN_SECONDS
    ) -> None:
        self._now, self._limit, self._open_seconds = now, failures, open_seconds
        self._failures = 0
        self._open_until: datetime | None = None
        self.failing_since: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether nobody should call now."""
        return self._open_until is not None and self._now() < self._open_until

    def admits(self) -> bool:
        """Whether a call may go out now. Of several that ask when it has been open long enough, the first may."""
        if self._open_until is None:
            return True
        if self.is_open:
            return False
        self._open_until = self._now() + timedelta(seconds=self._open_seconds)
        return True

    def succeeded(self) -> None:
        """A call was answered."""
        self._failures, self._open_until, self.failing_since = 0, None, None

    def failed(self) -> None:
        """A call was not."""
        self._failures += 1
        self.failing_since = self.failing_since or self._now()
        if self._failures >= self._limit:
            self._open_until = self._now() + timedelta(seconds=self._open_seconds)
