"""Tasks that make or delete a volume claim: KFP's driver does it itself, and no other pod follows.

Source: `createPVC` and `deletePVC` of KFP 2.17's driver.
"""

from __future__ import annotations

from server.testing.kfp.values import Document, Values, shown
from server.testing.kfp.world import World

CREATE, DELETE = "argostub/createpvc", "argostub/deletepvc"


def is_operation(executor: Document) -> bool:
    """Whether an executor stands for such a task."""
    return (executor.get("container") or {}).get("image") in (CREATE, DELETE)


def operate(world: World, executor: Document, workflow: str, task: str, inputs: Values) -> Values:
    """Do it; the outputs. Raises ValueError for inputs that the driver refuses."""
    given = {name: value for name, value in inputs.parameters.items() if value not in (None, "")}
    if executor["container"]["image"] == DELETE:
        name = shown(given.get("pvc_name", ""))
        world.pods.claims.discard(name)
        world.volumes.pop(name, None)
        return Values()
    if "pvc_name" in given and "pvc_name_suffix" in given:
        raise ValueError("failed to create pvc: at most one of pvc_name and pvc_name_suffix can be non-empty")
    for needed in ("access_modes", "size"):
        if needed not in given:
            raise ValueError(f"failed to create pvc: parameter {needed} not provided")
    name = shown(given.get("pvc_name") or workflow + shown(given.get("pvc_name_suffix", f"-{task}")))
    folder = world.folder / "claims" / name
    folder.mkdir(parents=True, exist_ok=True)
    world.pods.claims.add(name)
    world.volumes[name] = folder
    world.pods.changed()
    return Values({"name": name})


__all__ = ["is_operation", "operate"]
