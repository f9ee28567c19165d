"""MLOpX placement server."""
