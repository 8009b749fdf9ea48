"""Protocols, metrics, complexity, evaluation, store and the command line.

Nothing is imported here: the command line's help must not wait for torch.
"""
