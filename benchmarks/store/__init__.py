"""What is kept on disk: records, rows and their folders. No torch.

May import: `errors` of `benchmarks`.
"""
