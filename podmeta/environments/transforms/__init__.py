"""Task transforms: each turns one environment into a distribution of tasks. One definition serves JAX and NumPy."""
