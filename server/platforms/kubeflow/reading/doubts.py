"""What Kubeflow will not run as it is written, though the SDK compiles it: said as notes, and read all the same.

Source: `argocompiler` of KFP 2.17. Since 2.5 a task that runs whatever happened becomes an exit hook of each task that
it waits for, in Argo's Workflow: nothing there can wait for it, and some tasks have no place for a hook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from server.platforms.kubeflow.reading.fields import section, text

FINISHED = "ALL_UPSTREAM_TASKS_COMPLETED"
HOOKLESS = {"loop": "a loop", "importer": "an importer", "pvc": "a volume operation"}


def doubts_of_task(
    path: str, task: object, declared: Mapping[str, object], beside: Mapping[str, object]
) -> Iterator[str]:
    """Inputs that nobody provides, and what the backend's compiler does not know.

    Args:
        declared: the inputs of the graph that the task lies in.
        beside: the tasks of that graph, by name.
    """
    if section(task, "artifactIterator"):
        yield f"loop {path}: runs over artifacts; open-source Kubeflow up to 2.17 refuses it"
    given = section(task, "inputs")
    if not given:
        return
    parameters = section(given, "parameters").values()
    for one in parameters:  # SDKs up to 2.17 write such inputs for texts made of a loop's item
        name = text(one, "componentInputParameter")
        if name and name not in declared:
            yield f"task {path}: reads the input {name!r}, which nothing around it has; it will fail"
    makers = [text(one, "taskOutputParameter", "producerTask") for one in parameters]
    makers += [text(one, "taskOutputArtifact", "producerTask") for one in section(given, "artifacts").values()]
    for name in dict.fromkeys(makers):
        if name and name not in beside:
            yield f"task {path}: reads what {name!r} makes, and no such task is beside it; Kubeflow will refuse it"


def doubts_of_ends(
    prefix: str,
    tasks: Mapping[str, object],
    before: Mapping[str, Sequence[str]],
    kind_of: Callable[[object], str],
) -> Iterator[str]:
    """What becomes of the tasks of a graph that run whatever happened, and of those that wait for them.

    Args:
        prefix: path of the graph; empty for the root.
        before: what each task waits for.
        kind_of: what Kubeflow makes of a task.
    """
    ends = [key for key, task in tasks.items() if text(task, "triggerPolicy", "strategy") == FINISHED]
    if not ends:
        return
    hooked = {one: key for key in sorted(ends) for one in before[key]}
    for key in ends:
        path = f"{prefix}/{key}" if prefix else key
        if len(before[key]) > 1:
            names = ", ".join(before[key])
            yield f"task {path}: runs once after each of {names}: Kubeflow since 2.5 does not wait for all"
        for one in before[key]:
            kind = HOOKLESS.get(kind_of(tasks.get(one)))
            if kind is not None:
                yield f"task {path}: waits for the end of {one}, {kind}; Kubeflow since 2.5 never starts it then"
            elif hooked[one] != key:
                yield f"task {path}: does not run when {one} ends: Kubeflow since 2.5 runs one task then, {hooked[one]}"
    for key, upstreams in before.items():
        late = [one for one in upstreams if one in ends]
        if late and key not in ends:
            path = f"{prefix}/{key}" if prefix else key
            yield f"task {path}: waits for {late[0]}, which runs whatever happened; Kubeflow since 2.5 refuses that"


__all__ = ["FINISHED", "doubts_of_ends", "doubts_of_task"]
