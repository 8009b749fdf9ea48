"""Pictures of the user's, restored for their own sake: no clean image, no score, no protocol.

May import: `inference`, `errors` of `benchmarks`, the package `models`, and `files` of `datasets`.
"""
