"""The table of a profile, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from ..store.profiles import ProfileRow

DOUBTFUL = "?"
"""Mark of a latency that is not to be trusted."""

GPU_COLUMNS = ("graph replay (ms)", "images/s at the largest batch", "J/image", "TFLOP/s", "FLOP/byte")


def as_text(rows: Sequence[ProfileRow]) -> str:
    """A table for people: measured beside published, and below it what the numbers are and leave out."""
    cells = [{**_cells(row), **_gpu_cells(row)} for row in rows]
    # On a CPU the columns of a GPU are not there, rather than empty.
    shown = [name for name in cells[0] if name not in GPU_COLUMNS or any(each[name] != "-" for each in cells)]
    table = tabulate(
        [{name: each[name] for name in shown} for each in cells],
        headers="keys",
        tablefmt="simple",
        disable_numparse=True,
    )
    return "\n".join([table, "", *dict.fromkeys(_remarks(rows))])


def _cells(row: ProfileRow) -> dict[str, str]:
    published_size = f" ({row.published_size})" if row.published_macs_g else ""
    options = [name for name in ("tf32", "channels_last", "compile") if getattr(row, name) == "True"]
    return {
        "model": row.model,
        "variant": row.variant,
        "size": f"{row.batch}x3x{row.size}",
        "params (M)": f"{int(row.parameters) / 1e6:.2f}",
        "paper": row.published_parameters_m or "-",
        "MACs without FFT (G)": f"{int(row.macs) / 1e9:.2f}" if row.macs else "-",
        "paper ": f"{row.published_macs_g}{published_size}" if row.published_macs_g else "-",
        "latency (ms)": f"{row.latency_ms}{DOUBTFUL if row.doubtful else ''}" if row.latency_ms else "-",
        "quartiles": f"{row.latency_q1_ms}..{row.latency_q3_ms}" if row.latency_ms else "-",
        "images/s": row.images_per_second or "-",
        "peak (MiB)": row.peak_memory_mib or "-",
        "dtype": " ".join([row.dtype, *options]),
    }


def _gpu_cells(row: ProfileRow) -> dict[str, str]:
    """What is known on a GPU alone."""
    largest = f"{row.largest_batch_images_per_second} at {row.largest_batch}" if row.largest_batch else ""
    texts = (row.graph_latency_ms, largest, row.energy_j, row.tflops, row.flops_per_byte)
    return {name: text or "-" for name, text in zip(GPU_COLUMNS, texts, strict=True)}


def _published(row: ProfileRow) -> str:
    """The paper's figures, beside them what is counted here at the same size, and what they leave out."""
    figures = [row.published_source]
    if row.published_macs_g:
        where = row.published_size if any(map(str.isdigit, row.published_size)) else f"a size {row.published_size}"
        figures.append(f"{row.published_macs_g} G at {where}")
    if row.macs_at_published_size:
        figures.append(f"counted here at that size {int(row.macs_at_published_size) / 1e9:.2f} G")
    return "; ".join(filter(None, (*figures, row.published_note)))


def _timing(row: ProfileRow) -> str:
    """How latencies were measured."""
    rounds = f" in {row.rounds} rounds, in which all that was asked for took turns," if row.rounds != "1" else ""
    how = f"latency: median of {row.repeats} passes over the batch{rounds} after {row.warmup} not timed, {row.clock}"
    return f"{how}, {row.waiting}" if row.waiting else how


def _remarks(rows: Iterable[ProfileRow]) -> Iterable[str]:
    for row in rows:
        if row.note:
            yield f"{row.model} {row.variant} at {row.size}: {row.note}"
    for row in rows:
        if row.doubtful:
            where = f"latency of {row.model} {row.variant} at {row.size}"
            yield f"{DOUBTFUL} doubtful, not to be ranked: {where}: {row.doubtful}"
    for row in rows:
        if row.published_source or row.published_macs_g:
            yield f"paper, {row.model} {row.variant}: {_published(row)}"
    for row in rows:
        if row.clock:
            yield _timing(row)
            yield "MACs: multiply-adds of one image by dispatch, without Fourier transforms (macs_fft in the file)"
        if row.peak_memory_mib:
            yield f"peak: {row.memory_meaning}"
        yield f"device: {row.device} ({row.device_name}), {row.threads} threads, torch {row.torch}"
