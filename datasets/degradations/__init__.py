"""Synthetic degradations in integers, the same bits on every machine: one file a kind.

A new one is a file beside `rain.py` that ends with its `DEGRADATION`; its task has a name in `datasets/tasks.py`.

May import: `errors` and `tasks` of `datasets`.
"""
