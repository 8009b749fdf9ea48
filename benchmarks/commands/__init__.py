"""The command line: one file a word after ``bench``, and Hydra in front of three of them.

May import everything; is imported by nobody.
"""
