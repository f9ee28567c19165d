"""Looks ahead: what a pipeline would do on the cluster as it is, or as it might be. Submits and changes nothing."""
