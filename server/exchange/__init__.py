"""Files in, files out: placing problems as documents that people and other tools write and read.

`document` is the format (and its JSON Schema), `reading` makes `server.planning.Problem` of it, of the benchmark shape
and of WfFormat; `writing` goes the other way; `answering` is what `mlopx-server solve` says. pydantic ends here: the
planning room sees arrays.
"""
