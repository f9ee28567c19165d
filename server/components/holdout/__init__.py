"""A part of all runs is left to the platform's own scheduler, so that what the strategy saves can be measured."""
