"""Which namespaces of Kubeflow runs are in: one, or several that this server follows side by side.

A run goes to the namespace that its project names, and all others to the first one. The Kubeflow API of a single user
knows no namespaces: there the name is empty, and the objects lie in `kubeflow`.
"""

from __future__ import annotations

from dataclasses import dataclass

SINGLE_USER_NAMESPACE = "kubeflow"


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The namespaces, as Kubeflow's API names them; the first is where runs go that name none."""

    names: tuple[str, ...] = ("",)

    @classmethod
    def read(cls, text: str) -> Namespaces:
        """From a setting: names with commas between them, none for a single user."""
        names = dict.fromkeys(name.strip() for name in text.split(",") if name.strip())
        return cls(tuple(names) or ("",))

    def of(self, project: str) -> str:
        """The namespace of a run of this project."""
        return project if project in self.names else self.names[0]

    @property
    def in_kubernetes(self) -> tuple[str, ...]:
        """Where their objects lie."""
        return tuple(map(in_kubernetes, self.names))


def in_kubernetes(name: str) -> str:
    """Where the objects of a namespace of Kubeflow's API lie."""
    return name or SINGLE_USER_NAMESPACE


__all__ = ["SINGLE_USER_NAMESPACE", "Namespaces", "in_kubernetes"]
