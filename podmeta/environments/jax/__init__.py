"""Environments written in JAX, and adapters to those of other libraries."""
