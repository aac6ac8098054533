"""Environments that live on the host, in C++ or Python: batches behind dm_env, NumPy in and out."""
