"""Triton kernels: what a GPU computes in one pass over memory where torch and its compiler take several.

`kernel_basis` kernel basis attention, `channel_products` the statistics of transposed attention, `gated_depthwise` the
gate of the feed-forward; `device` says where they run, `traffic` what each must move and compute. Only the modules of
`models/layers` call them, inside operators that have a plain form for every other device; nothing imports `triton`
before a kernel is wanted. What the compiler fuses by itself (layer norms with the sums and casts around them) is not
written here.
May import: each other, and nothing else of the project.
"""
