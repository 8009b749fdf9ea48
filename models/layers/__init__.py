"""Blocks and kernels that several networks share.

May import: nothing else of the project.
"""
