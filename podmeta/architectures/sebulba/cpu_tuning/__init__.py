"""What makes Sebulba faster on a few CPU cores, and is no part of the architecture: it computes the same without."""
