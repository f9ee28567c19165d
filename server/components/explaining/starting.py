"""How long a task that has not started will take to start once its turn comes, and why: its queue, and its image."""

from __future__ import annotations

from server.components.explaining.texts import span
from server.components.explaining.values import StartExpected
from server.domain.placement import WaitingTask
from server.domain.starting import OWN_IMAGE, Starts


def start_expected(task: WaitingTask, node: str | None, option: str, starts: Starts) -> StartExpected | None:
    """What is known of its start on the node that it has or is planned for; None where nothing is."""
    if node is None:
        return None
    chosen = next((one for one in task.options if one.name == option), task.options[0])
    image = chosen.image or OWN_IMAGE
    begins = starts.of_image.get(image, {}).get(node)
    if starts.queue is None and begins is None:
        return None
    is_pulled = node in starts.pulled.get(image, ())
    parts = []
    if starts.queue is not None:
        parts.append(f"{span(starts.queue.p50)} until the platform has a node for it ({starts.queue.source})")
    if begins is not None:
        what = chosen.image or "the platform's image"
        why = f"on {node}, which has to pull {what}" if is_pulled else f"on {node}, which has {what}"
        parts.append(f"{span(begins.p50)} {why} ({begins.source})")
    text = f"it should start {span(starts.seconds(image, node))} after its turn comes: {' and '.join(parts)}"
    return StartExpected(node, chosen.image, is_pulled, starts.queue, begins, text)


__all__ = ["start_expected"]
