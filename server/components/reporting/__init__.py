"""What the strategy saved: measured against the runs that were left out, or, without any, simulated and said so."""
