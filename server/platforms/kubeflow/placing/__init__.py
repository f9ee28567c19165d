"""Writing placements into a compiled pipeline: placement only, next to what is already there, always the same bytes."""

from server.platforms.kubeflow.placing.configs import PlacementMode
from server.platforms.kubeflow.placing.iterations import LoopPlacement
from server.platforms.kubeflow.placing.place import Effect, PlacedPipeline, TaskPlacement, place_pipeline

__all__ = ["Effect", "LoopPlacement", "PlacedPipeline", "PlacementMode", "TaskPlacement", "place_pipeline"]
