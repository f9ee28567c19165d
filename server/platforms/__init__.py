"""Adapters to what runs tasks. The port is in `interface`; `local` needs nothing but this machine."""
