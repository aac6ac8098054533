"""`podmeta report`: what runs have learned, on one page that needs nothing beside itself."""
