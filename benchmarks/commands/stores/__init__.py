"""Commands on whole results folders: one file a word, or the second word of ``bench check``.

May import the store, the front and what the commands may.
"""
