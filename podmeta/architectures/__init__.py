"""Where it runs: Anakin and Sebulba."""
