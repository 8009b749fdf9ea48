"""From a configuration to stored rows: plan -> job -> pipeline.

May import: `inference`, `protocols`, `profiling`, `store`, `environment` and `errors` of `benchmarks`, and the packages
`models` and `datasets`.
"""
