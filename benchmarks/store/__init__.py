"""What is kept on disk: records and their parts, rows, profiles, and their folders. No torch.

May import: `errors` of `benchmarks`.
"""
