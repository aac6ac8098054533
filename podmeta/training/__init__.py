"""From a config to a trained θ: building programs, the loop, and what is logged."""
