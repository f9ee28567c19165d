"""Node sources: which nodes there are, what they can do, how loaded they are. The port is in `interface`."""
