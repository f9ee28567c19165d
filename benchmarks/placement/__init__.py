"""How good the placements are, and how fast they are found: `make bench-placement`."""
