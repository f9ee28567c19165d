"""Explains: why a task runs where it runs, what a waiting one waits for, until when, and how well that turned out."""
