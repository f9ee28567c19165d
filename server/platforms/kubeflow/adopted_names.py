"""Our names for the tasks of a document: lower case, each different, always the same for the same document."""

from __future__ import annotations

from hashlib import sha256

from mlopx.spec import slug

LONGEST_PATH = 360
"""What our paths may take, with room for a number behind."""


class Names:
    """Paths of a document to ours, in the order in which they are asked for."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {"": ""}
        self._taken: set[str] = set()

    def of(self, path: str) -> str:
        """Our path for a path; what lies below it begins with it."""
        if path not in self._known:
            above, _, last = path.rpartition("/")
            self._known[path] = self._free(self._joined(self.of(above), last))
        return self._known[path]

    def beside(self, path: str, what: str) -> str:
        """A second name for the same path."""
        key = f"{path}\n{what}"
        if key not in self._known:
            self._known[key] = self._free(f"{self.of(path)}-{what}")
        return self._known[key]

    def _joined(self, above: str, last: str) -> str:
        name = slug(last)
        name = name if name[:1].isalpha() else f"t-{name}".rstrip("-")
        joined = f"{above}/{name}" if above else name
        return joined if len(joined) <= LONGEST_PATH else f"deep-{sha256(joined.encode()).hexdigest()[:12]}/{name}"

    def _free(self, name: str) -> str:
        found, number = name, 2
        while found in self._taken:
            found, number = f"{name}-{number}", number + 1
        self._taken.add(found)
        return found


__all__ = ["Names"]
