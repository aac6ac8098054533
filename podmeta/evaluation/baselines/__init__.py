"""Baselines for learned algorithms."""
