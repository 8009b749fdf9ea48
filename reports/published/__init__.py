"""The papers' numbers and references, and their loader.

May import: `errors` of `reports`, `tasks` of `datasets`.
"""
