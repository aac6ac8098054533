"""Devices, the processes of a job, signals, and how they end."""
