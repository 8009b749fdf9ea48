"""Synthetic degradations in integers, the same bits on every machine: one file a kind.

May import: `errors` of `datasets`.
"""
