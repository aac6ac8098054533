"""`podmeta report`: one self-contained page about runs."""
