"""People's own photographs, in files or as a script has them, through a restorer: with all that they carry, at full
size, without a clean image, a score or a protocol.

May import: `inference` and `errors` of `benchmarks`, `files` and `errors` of `datasets`, and the package `models`.
"""
