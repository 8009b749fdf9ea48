"""What a group of cells says, computed once: means, intervals, tests, costs.

`Group.scoreboard` is what all that draw or print read; nobody outside this room imports `intervals` or `significance`.
May import: `published` and `errors` of `reports`, `store` and `errors` of `benchmarks`, `tasks` of `datasets`.
"""
