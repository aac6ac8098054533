"""Meta-testing, and the reference algorithms it is held against."""
