"""What is kept so that the past can be looked at again: which nodes there were, and what strategies were asked."""
