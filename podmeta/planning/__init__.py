"""What a job would need and reach on devices that are not here."""
