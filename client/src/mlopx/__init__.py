"""Define machine-learning pipelines; running the definition file submits them."""
