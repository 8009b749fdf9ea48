"""The documentation; `generation` makes what of it comes from the code."""
