"""Pure values and rules: runs, tasks, nodes, placements and how they change. No I/O, clock, log or chance in here.

Start with `run` (what is remembered), `states` (what may follow what), `lifecycle` (events in, commands out) and
`placement` (what a strategy is asked and answers).
"""
