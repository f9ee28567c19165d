"""Which node a Prometheus series is about: labels differ from one installation to the next.

Tried in this order, and told so that people can see it: the configured label, `node` (or `Hostname`, GPU exporters),
`instance` that is a node's name, the pod that was scraped, the address in `instance`, and, weakest, the host name that
the exporter itself reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Labels = Mapping[str, str]
NODE_LABELS = ("node", "Hostname")


@dataclass(frozen=True, slots=True)
class Identity:
    """A node's name, and how it was found."""

    node: str
    by: str


class Identities:
    """Resolves series to nodes, with what `kube_node_info`, `kube_pod_info` and `node_uname_info` tell."""

    def __init__(self, known: Iterable[str], label: str | None, series: Iterable[Labels]) -> None:
        self._known, self._label = frozenset(known), label
        self._by_pod: dict[tuple[str, str], str] = {}
        self._by_address: dict[str, str] = {}
        self._host_of_instance: dict[str, str] = {}
        for labels in series:
            name = labels.get("__name__")
            if name == "kube_pod_info" and "node" in labels:
                self._by_pod[labels.get("namespace", ""), labels.get("pod", "")] = labels["node"]
            elif name == "kube_node_info" and "node" in labels and "internal_ip" in labels:
                self._by_address[labels["internal_ip"]] = labels["node"]
            elif name == "node_uname_info" and "nodename" in labels:
                self._host_of_instance[labels.get("instance", "")] = labels["nodename"]

    def of(self, labels: Labels) -> Identity | None:
        """The node of a series, None if it is none that is known."""
        if self._label is not None and (found := self._accepted(labels.get(self._label))):
            return Identity(found, f"label {self._label}")
        for label in NODE_LABELS:
            if found := self._accepted(labels.get(label)):
                return Identity(found, f"label {label}")
        instance = labels.get("instance", "")
        address = instance.rpartition(":")[0] or instance
        for name in (instance, address):
            if name and name in self._known:
                return Identity(name, "instance")
        if found := self._accepted(self._by_pod.get((labels.get("namespace", ""), labels.get("pod", "")))):
            return Identity(found, "scraped pod")
        if found := self._accepted(self._by_address.get(address.strip("[]"))):
            return Identity(found, "address")
        host = self._host_of_instance.get(instance, "")
        if found := self._accepted(host) or self._accepted(host.partition(".")[0]):
            return Identity(found, "host name")
        return None

    def _accepted(self, name: str | None) -> str | None:
        """A name that is a node's; any name while no nodes are known from elsewhere."""
        if not name:
            return None
        return name if name in self._known or not self._known else None


__all__ = ["Identities", "Identity"]
