"""What learns inside a lifetime."""
