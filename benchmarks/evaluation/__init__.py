"""From a configuration to stored rows: plan -> job -> pipeline.

May import: `inference`, `protocols`, `profiling`, `store`, and the packages `models` and `datasets`.
"""
