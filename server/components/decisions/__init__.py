"""From a plan to what happens: checked, bound where there is room, and recorded so that it can be explained."""
