"""Seeded generators and loaders of simulation fields; one module per kind, each a function of its seed alone."""
