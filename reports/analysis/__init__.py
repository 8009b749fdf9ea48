"""What a group of cells says, computed once: means, intervals, tests, costs.

May import: `published`, and `store` and `errors` of `benchmarks`.
"""
