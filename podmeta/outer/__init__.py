"""What changes θ: the outer loops."""
