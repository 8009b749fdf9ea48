"""Restored images on disk: the formats in which they are saved and read, and the previews beside the scores.

May import: `photographs`, `store` and `errors` of `benchmarks`, and the package `datasets`; nothing of `evaluation`.
"""
