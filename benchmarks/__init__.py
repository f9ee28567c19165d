"""What MLOpX costs and what it gains, measured against baselines in the same run."""
