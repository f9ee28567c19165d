"""The one room that speaks to the Kubernetes API; platforms and node sources stand on it."""
