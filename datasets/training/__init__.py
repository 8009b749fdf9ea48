"""What training reads: folders, dead leaves and wallpapers, mixed and degraded by recipes.

May import: every other room of `datasets`.
"""
