"""From a configuration to stored rows: plan -> job -> pipeline; `evaluate` and `score` for scripts.

May import: `inference`, `restoration`, `protocols`, `profiling`, `store`, `environment` and `errors` of `benchmarks`,
and the packages `models` and `datasets`.
"""
