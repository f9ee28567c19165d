"""The embedded platform: virtual nodes of one machine that really differ, one agent process per node.

`platform` is the adapter, `links` keeps an agent per node; `agent`, `zygote` and `throttle` run in the agents.
"""
