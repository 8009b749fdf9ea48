"""What training reads: folders, dead leaves and wallpapers, mixed and degraded by recipes.

May import: `degradations`, `embedded` and `files`, and `errors` and `streams` of `datasets`.
"""
