"""An example of a package that extends podmeta by entry points."""
