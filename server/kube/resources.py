"""The kinds of objects we speak of, and their addresses."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object: group with version (`v1`, `argoproj.io/v1alpha1`), and its plural name."""

    group: str
    plural: str
    is_namespaced: bool = True

    @property
    def api_group(self) -> str:
        """The group without its version, as permissions name it; empty for the core."""
        return self.group.partition("/")[0] if "/" in self.group else ""

    def path(self, namespace: str | None = None, name: str | None = None, sub: str = "") -> str:
        """The address of all objects, of those of one namespace, of one, or of a part of one."""
        root = f"/api/{self.group}" if "/" not in self.group else f"/apis/{self.group}"
        where = f"/namespaces/{quote(namespace, safe='')}" if namespace and self.is_namespaced else ""
        which = f"/{quote(name, safe='')}" if name else ""
        return f"{root}{where}/{self.plural}{which}{f'/{sub}' if sub else ''}"


NODES = Kind("v1", "nodes", is_namespaced=False)
NAMESPACES = Kind("v1", "namespaces", is_namespaced=False)
PODS = Kind("v1", "pods")
EVENTS = Kind("v1", "events")
QUOTAS = Kind("v1", "resourcequotas")
LIMIT_RANGES = Kind("v1", "limitranges")
CLAIMS = Kind("v1", "persistentvolumeclaims")
VOLUMES = Kind("v1", "persistentvolumes", is_namespaced=False)
SLICES = Kind("resource.k8s.io/v1", "resourceslices", is_namespaced=False)
DEVICE_CLAIMS = Kind("resource.k8s.io/v1", "resourceclaims")
DEVICE_CLASSES = Kind("resource.k8s.io/v1", "deviceclasses", is_namespaced=False)
DEVICE_VERSIONS = ("resource.k8s.io/v1", "resource.k8s.io/v1beta2", "resource.k8s.io/v1beta1")
"""What drivers tell of devices, in the versions in which an API may have it, newest first."""

WORKFLOWS = Kind("argoproj.io/v1alpha1", "workflows")
RUNS = Kind("pipelines.kubeflow.org/v1beta1", "runs")
EXPERIMENTS = Kind("pipelines.kubeflow.org/v1beta1", "experiments")
VIEWERS = Kind("pipelines.kubeflow.org/v1beta1", "viewers")
"""No objects of the API: Kubeflow only asks, in multi-user mode, whether a caller has such verbs on them."""

REVIEWS = Kind("authorization.k8s.io/v1", "selfsubjectaccessreviews", is_namespaced=False)
