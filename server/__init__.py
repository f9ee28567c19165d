"""MLOpX placement server: takes pipelines, gives every task a node, and follows what happens."""

__version__ = "0.1.0"
