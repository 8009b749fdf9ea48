"""The documentation: its blocks run, its notebook runs, its schema fits, its pages can be found."""
