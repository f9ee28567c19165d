"""How the Kubeflow adapter behaves."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.platforms.kubeflow.namespaces import Namespaces
from server.platforms.kubeflow.versions import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeflowOptions:
    """How the adapter behaves. `namespaces` are those of the runs.

    `user_header` names the header with which a caller shows who it is, in multi-user mode. `mode` is `observe`,
    `place`, or `auto`: as the namespace's label says. `own_token` is this server's own, which callers send it. `ui_url`
    leads to Kubeflow's UI server, which hands out artifacts. `version` is Kubeflow's, for one that does not tell it.
    """

    namespaces: Namespaces = field(default_factory=Namespaces)
    experiment: str = "mlopx"
    service_account: str = ""
    user_header: str = "kubeflow-userid"
    update_seconds: float = 5.0
    settle_seconds: float = 30.0
    is_annotating: bool = False
    mode: str = "place"
    own_token: str | None = None
    ui_url: str = ""
    version: Version | None = None


__all__ = ["KubeflowOptions"]
