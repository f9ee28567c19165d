"""Strategies in processes of their own: the server's side, the worker's side, and what travels between them."""
