"""The command line: one file a word after ``bench``, Hydra in front of three of them, and what all of them need.

`main` finds a command's module by its name, so that the help need not wait for torch. May import everything; is
imported by nobody.
"""
