"""How long a task that has not started will take to start once its turn comes, and why: its queue, and its image."""

from __future__ import annotations

from server.components.explaining.texts import span
from server.components.explaining.values import StartExpected
from server.domain.placement import WaitingTask
from server.domain.starting import OWN_IMAGE, Starts


def start_expected(
    task: WaitingTask, node: str | None, option: str, starts: Starts, *, is_there: bool = False
) -> StartExpected | None:
    """What is known of its start on the node that it has (`is_there`) or is planned for; None where nothing is."""
    if node is None:
        return None
    chosen = task.option(option)
    image = chosen.image or OWN_IMAGE
    begins = starts.of_image.get(image, {}).get(node)
    if starts.queue is None and begins is None:
        return None
    is_pulled = starts.is_pulled(image, node)
    passed = None if is_there else starts.passed.get(image, {}).get(node)
    parts = []
    if starts.queue is not None:
        parts.append(f"{span(starts.queue.p50)} until the platform has a node for it ({starts.queue.source})")
    if begins is not None:
        does = f"began {span(passed)} ago to pull" if passed is not None else "has to pull" if is_pulled else "has"
        what = chosen.image or "the platform's image"
        parts.append(f"{span(begins.p50)} on {node}, which {does} {what} ({begins.source})")
    whole = sum(wait.p50 for wait in starts.waits(image, node))
    seconds = whole if is_there else starts.seconds(image, node)
    text = f"it should start {span(seconds)} after its turn comes: {' and '.join(parts)}"
    return StartExpected(node, chosen.image, is_pulled, starts.queue, begins, text)


__all__ = ["start_expected"]
