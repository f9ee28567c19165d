"""How this server shows Kubeflow who it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from server.domain.errors import PlatformError

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Identity:
    """How we show who we are: a token file (read anew each time), fixed headers, a cookie among them."""

    token_file: Path | None = None
    headers: Headers = field(default_factory=dict)

    def now(self) -> dict[str, str]:
        """The headers for the next request."""
        found = dict(self.headers)
        if self.token_file is not None:
            found["Authorization"] = f"Bearer {self._token(self.token_file)}"
        return found

    @staticmethod
    def _token(file: Path) -> str:
        try:
            token = file.read_bytes().decode("ascii").strip()
            why = "is empty" if not token else ""
        except OSError as error:
            why = f"cannot be read: {error.strerror}"
        except UnicodeDecodeError:
            why = "holds no token: tokens are plain ASCII text"
        if why:
            raise PlatformError(f"the token file {file} {why}", hint="KFP_TOKEN_FILE names it", is_retryable=True)
        return token


__all__ = ["Headers", "Identity"]
