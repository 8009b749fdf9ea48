"""A network on a device: numerics, whole images or tiles, what a pass costs.

May import: `errors` of `benchmarks`, and the package `models`.
"""
