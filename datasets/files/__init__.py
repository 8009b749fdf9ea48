"""Image files: reading, pairing and hashing them, what they show, and tasks made of them.

May import: `errors`, `samples` and `tasks` of `datasets`.
"""
