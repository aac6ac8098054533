"""Training: building programs from a config, the training loop, and logging."""
