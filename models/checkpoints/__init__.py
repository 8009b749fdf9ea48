"""Weights files: read without running their code, fitted to a network's keys, and written.

`bounds` what a hostile file may cost, `pickles` a pickle as plain data, `tensors` their descriptions in one, `archives`
torch's file formats, `writing` safetensors with what is known of them, `names` tensors by dotted path, `reading` a file
as its authors left it, `trained` the trainer's own checkpoints, `matching` where a network's keys are, `fitting` the
state dict that is taken.
May import: `card`, `errors` and `files` of `models`, no network and no registry. Inside, each what stands before it.
"""
