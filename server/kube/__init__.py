"""The one room that speaks to the Kubernetes API. Node sources and platforms stand on it; nobody else knows it.

`access` says where the API is and who we are, `client` makes calls, `mirror` keeps a live copy of one kind of object.
"""
