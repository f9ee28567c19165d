"""Promise suites: what every implementation of a port must keep, for ours and for plug-ins alike."""
