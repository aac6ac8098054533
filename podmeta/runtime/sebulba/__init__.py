"""Sebulba's threads: actors, the learner, and what passes between them."""
