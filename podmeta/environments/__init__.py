"""What is learnt: environments, task distributions and task transforms."""
