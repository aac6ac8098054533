"""What a learned algorithm is compared with."""
