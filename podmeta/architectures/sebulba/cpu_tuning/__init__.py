"""Optimisations for few CPU cores. They are not part of the architecture: Sebulba computes the same without them."""
