"""Figures for papers, the same bytes for the same store.

May import: `analysis`, `published`, and `store` and `errors` of `benchmarks`.
"""
