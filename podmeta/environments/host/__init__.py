"""Host environments, in C++ or Python: batches with dm_env's interface and NumPy arrays."""
