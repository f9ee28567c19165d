"""Registered data sets: where copies lie, and how that is said."""
