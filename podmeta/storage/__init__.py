"""Files: checkpoints, the run directory, parameter files, and provenance."""
