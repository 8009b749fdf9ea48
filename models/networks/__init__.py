"""Restorers: one file a network, with its card; blocks of its own lie beside it under the same prefix.

The registry imports every module of this folder, so a new file here is all that a new restorer takes. No network
imports another.
May import: `layers`; `card`, `errors`, `registry`, `restorer` and `checkpoints` of `models`; the suite's `messages`.
"""
