"""What a Kubernetes cluster lets run where, besides nodes and labels: volumes, quotas, ranges, and what images are for.

`limits` joins it all and answers tasks; `volumes`, `quotas`, `registry` and `images` each know one part.
"""
