"""Tables for papers, the terminal and files; `columns` says what a paper's table has for columns.

May import: `analysis`, `published` and `errors` of `reports`, `store` and `errors` of `benchmarks`.
"""
