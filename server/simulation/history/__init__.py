"""The recorded past on the virtual clock: what happened, carried out again under any strategy."""
