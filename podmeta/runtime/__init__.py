"""The life of a job: devices, checkpoints, metrics, progress, signals."""
