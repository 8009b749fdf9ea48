"""What a network costs: multiply-adds, latency, memory.

May import: `inference`, `store`, `environment` and `errors` of `benchmarks`, and the package `models`.
"""
