"""Sebulba: actor threads and a learner thread."""
