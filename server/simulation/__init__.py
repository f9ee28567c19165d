"""The same scheduler, strategies and lifecycle on a virtual clock, for studies and what-if questions."""
