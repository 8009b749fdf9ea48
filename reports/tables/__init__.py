"""Tables for papers, the terminal and files.

May import: `analysis`, `published`, and `store` and `errors` of `benchmarks`.
"""
