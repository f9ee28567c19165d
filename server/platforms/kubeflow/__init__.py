"""Kubeflow Pipelines: reading compiled pipelines, writing placements into them, and compiling our own specs to them.

`reading`, `placing` and `compile` are pure: documents in, documents out. What speaks to a Kubeflow
server stands on them.
"""
