"""The papers' numbers and references, and their loader.

May import: `errors` of `reports`.
"""
