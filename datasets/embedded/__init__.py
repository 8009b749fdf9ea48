"""Photographs inside scikit-image's wheel, and the tasks made of them without a download.

May import: `degradations`, and `errors`, `samples`, `streams`, `tasks` of `datasets`.
"""
