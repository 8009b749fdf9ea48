"""Image files: reading, pairing and hashing them, and tasks made of them.

May import: `errors`, `samples` and `tasks` of `datasets`.
"""
