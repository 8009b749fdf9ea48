"""Training of a restorer by a recipe, in a folder that any kill leaves whole.

From a configuration to weights: `config` and `checks`; `batches` in the order of `schedule`; the steps of `trainer` on
`devices`, which change `state` (by `losses` and `averaging`), with `validation` between them; a `run_folder` with its
tables, `facts` and a `plot`.

May import: `inference`, `protocols`, `benchmarks/errors`, `benchmarks/environment`, and the packages `models` and
`datasets`. It has no need of `store`: a run's folder is no cell.
"""
