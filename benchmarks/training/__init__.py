"""Training of a restorer by a recipe, in a folder that any kill leaves whole.

May import: `inference`, `protocols`, `store`, and the packages `models` and `datasets`.
"""
