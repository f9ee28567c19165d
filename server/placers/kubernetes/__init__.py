"""The `kubernetes` strategy: the filters and scores of the default kube-scheduler 1.36."""

from server.placers.kubernetes.placer import Kubernetes

__all__ = ["Kubernetes"]
