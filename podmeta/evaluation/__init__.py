"""Meta-testing, and the algorithms that θ is compared with."""
