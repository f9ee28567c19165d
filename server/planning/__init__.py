"""The mathematics of placing: the problem as arrays, node timelines, evaluation, lower bounds, improvement.

Pure and synchronous. Nothing here knows of requests over HTTP, clocks or platforms; strategies stand on it.
"""
