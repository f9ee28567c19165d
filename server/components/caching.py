"""When an earlier task's outputs can stand for a new one: same code, same inputs, same image.

Artifacts count by content digest, so a re-made but equal file is the same input; the node does not count.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from server.domain.launch import arguments_of
from server.domain.resolve import BadValueError, NeverError, NotYetError, VolumeFile
from server.domain.run import Artifact, Run, TaskKey
from server.domain.states import Binding


def cache_key(run: Run, key: TaskKey) -> str | None:
    """Identity of a ready task's work, or None where it must not be cached or an input cannot be identified.

    A platform that takes whole runs reuses by its own cache, whatever we believe: nothing of it goes through ours.
    """
    if run.options.binding is Binding.AT_SUBMISSION:
        return None
    definition = run.graph.task(key.path)
    component = run.graph.component(key.path)
    if not run.options.is_caching or not definition.cache or key.path == run.graph.spec.exit_task:
        return None
    try:
        arguments = arguments_of(run, key)
        document = {
            "component": run.graph.component_digests[component.name],
            "image": definition.image or component.image,
            "environment": definition.environment,
            "arguments": {port: _identity(data) for port, data in arguments.items()},
            "volumes": [volume.model_dump(mode="json") for volume in definition.volumes],
        }
    except (NotYetError, NeverError, BadValueError):
        return None
    text = json.dumps(document, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _identity(data: Any) -> Any:
    if isinstance(data, Artifact):
        if data.digest is None:
            raise BadValueError("an artifact without a digest cannot be identified")
        return {"artifact": data.digest, "metadata": dict(data.metadata)}
    if isinstance(data, VolumeFile):
        return {"volume": data.volume, "path": data.path}
    if isinstance(data, list):
        return [_identity(item) for item in data]
    return {"value": data}
