"""Blocks and kernels that several networks share: plain modules and functions of (B, C, H, W) features.

`restormer` transposed attention, feed-forward, block and resampling of that family, `layer_norm` its norms,
`row_strips` the same blocks a strip of rows at a time (inference on a CPU), `kernel_basis` kernel basis attention,
`depthwise` convolutions that libraries compute slowly, `channel_products` and `gated_depthwise` parts of the
Restormer blocks as operators, which a GPU computes by the kernels of `triton`, `layout` views of channels-last memory.
May import: each other, and nothing else of the project.
"""
