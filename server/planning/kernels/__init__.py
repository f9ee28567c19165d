"""Compiled loops behind the strategies: decode a priority list into a schedule, and improve one.

Import this room late (inside a function): it brings numba along where that is installed. The same code runs
uncompiled, some hundred times slower, where it is not.
"""
