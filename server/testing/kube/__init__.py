"""A small Kubernetes API over real HTTP: objects, lists in pages, watches with bookmarks, patches, logs, faults."""

from server.testing.kube.double import Call, KubeDouble

__all__ = ["Call", "KubeDouble"]
