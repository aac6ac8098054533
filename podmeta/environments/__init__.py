"""Environments, task distributions and task transforms."""
