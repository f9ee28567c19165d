"""Pipelines that are submitted again and again: when they are due, submitting them, and telling what went wrong."""
