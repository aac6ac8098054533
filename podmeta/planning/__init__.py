"""Plans: what a job needs and reaches on absent devices."""
