"""Figures for papers, the same bytes for the same store.

May import: `analysis`, `published` and `errors` of `reports`, and `store` and `errors` of `benchmarks`.
"""
