"""Weights files: read without running their code, fitted to a network's keys, and written.

`bounds` what a hostile file may cost, `reading` a file as its authors left it.
May import: `card`, `errors` and `files` of `models`, no network and no registry.
"""
