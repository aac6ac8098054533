"""What `podmeta bench` runs."""
