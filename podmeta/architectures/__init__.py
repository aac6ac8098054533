"""The architectures, on which jobs run: Anakin and Sebulba."""
