"""The standard test sets: what and where they are, whether they are whole, which images two of them share.

May import: `files`, and `errors` and `tasks` of `datasets`.
"""
