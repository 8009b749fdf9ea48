"""The leaderboard as one static page that opens from disk.

May import: `analysis`, `published`, `figures` and `errors` of `reports`, and `store` and `errors` of `benchmarks`.
"""
