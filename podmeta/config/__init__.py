"""The typed schema of a job, its composition from files and overrides, and its validation."""
