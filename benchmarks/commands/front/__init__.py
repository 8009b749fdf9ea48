"""What stands before the commands: Hydra's command line and its jobs, and words for standard error.

May import what the commands may; of the commands themselves, nothing.
"""
