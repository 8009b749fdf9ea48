"""People's own photographs through a restorer: read with all that they carry, restored at full size, written.

May import: `inference` and `errors` of `benchmarks`, `files` and `errors` of `datasets`, and the package `models`.
"""
