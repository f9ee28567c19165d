"""The two halves that strategies are composed of: an ordering (who is next) and an assignment (which node).

`plan_in_turn` joins them: it takes the waiting tasks in order, lets the assignment choose among the nodes that can run
each one, and keeps a timeline of every shared node, so that planned times follow from the estimates.
"""

from server.placers.halves.assignment import Assignment, Choice, InTurn, LeastLoaded, RandomNode
from server.placers.halves.cluster import Cluster, Offer
from server.placers.halves.listing import plan_in_turn
from server.placers.halves.ordering import Ordering, at_random, by_remaining_seconds, first_come
from server.planning.needs import Needs, NeedsTable

__all__ = [
    "Assignment",
    "Choice",
    "Cluster",
    "InTurn",
    "LeastLoaded",
    "Needs",
    "NeedsTable",
    "Offer",
    "Ordering",
    "RandomNode",
    "at_random",
    "by_remaining_seconds",
    "first_come",
    "plan_in_turn",
]
