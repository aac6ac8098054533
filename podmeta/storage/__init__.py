"""What is kept: checkpoints, the run directory, parameter files, and where they come from."""
