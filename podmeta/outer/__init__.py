"""The outer loops, which change θ."""
