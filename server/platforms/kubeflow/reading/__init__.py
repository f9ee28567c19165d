"""Reading a compiled Kubeflow pipeline: its documents kept as they are, and the graph of what can be placed in it."""

from server.platforms.kubeflow.reading.documents import Documents, read_documents
from server.platforms.kubeflow.reading.graph import KubeflowLoop, KubeflowPipeline, KubeflowTask, read_pipeline

__all__ = ["Documents", "KubeflowLoop", "KubeflowPipeline", "KubeflowTask", "read_documents", "read_pipeline"]
