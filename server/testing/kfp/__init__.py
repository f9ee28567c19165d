"""A Kubeflow Pipelines double over real HTTP that executes what it is given on named virtual nodes.

`KubeflowDouble` has the API (strict about what it takes, silent about what is zero, seconds only), a Kubernetes double
with the Workflow and pod objects behind it, and an engine that runs each task's command as a child process.
"""

from server.testing.kfp.double import KubeflowDouble
from server.testing.kfp.nodes import VirtualNode

__all__ = ["KubeflowDouble", "VirtualNode"]
