"""What a Kubernetes cluster lets run where, besides nodes and labels: volumes, quotas, ranges, and what images are for.

`limits` joins it all for one namespace and answers tasks, `several` for several of them; `volumes`, `quotas`,
`registry` and `images` each know one part.
"""
