"""What a profile has on a GPU alone, as far as it can be shown without one."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from restorebench.benchmarks.commands.main import main
from restorebench.benchmarks.profiling.gpu import EnergyMeter, GpuCost, Traffic, largest_batch
from restorebench.benchmarks.profiling.latency import Latency
from restorebench.benchmarks.profiling.table import GPU_COLUMNS, as_text
from restorebench.benchmarks.store.profiles import COLUMNS, WITHOUT_GPU, ProfileRow, add_row, read_rows

ROW = replace(ProfileRow(**dict.fromkeys(WITHOUT_GPU, "1")), size="16x24")


@pytest.mark.parametrize(
    ("fits", "first", "expected"),
    [(5, 1, (4, 0.4)), (8, 1, (8, 0.8)), (100, 3, (96, 9.6)), (0, 1, None), (10**6, 1, (1024, 102.4))],
)
def test_the_largest_batch_is_found_by_doubling(fits: int, first: int, expected: tuple[int, float] | None) -> None:
    found = largest_batch(lambda batch: batch / 10 if batch <= fits else None, first)
    assert found == (expected if expected is None else pytest.approx(expected))


def test_traffic_is_what_operators_read_and_write_and_views_are_none() -> None:
    x, weight = torch.ones(4, 8), torch.ones(8, 2)
    with Traffic() as traffic:
        product = x.t().contiguous().t().view(4, 8) @ weight
        product.add_(1)
    copy, multiply, add = 2 * 32, 32 + 16 + 8, 2 * 8
    assert traffic.bytes == 4 * (copy + multiply + add)


class Nvml:
    """A driver's library: a GPU whose meter stands at 12,345 mJ."""

    def __init__(self, known: bytes = b"GPU-1234", code: int = 0) -> None:
        self.known, self.code = known, code

    def nvmlInit_v2(self) -> int:  # noqa: N802 - NVML's name
        return self.code

    def nvmlDeviceGetHandleByUUID(self, name: bytes, handle: Any) -> int:  # noqa: N802
        return 0 if name == self.known else 6

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, value: Any) -> int:  # noqa: N802
        ctypes.cast(value, ctypes.POINTER(ctypes.c_ulonglong))[0] = 12345
        return 0


def test_energy_is_read_from_the_gpu_of_that_uuid() -> None:
    assert EnergyMeter("1234", Nvml()).joules() == 12.345
    assert EnergyMeter("GPU-1234", Nvml()).joules() == 12.345


@pytest.mark.parametrize("nvml", [Nvml(known=b"GPU-9"), Nvml(code=9)])
def test_where_there_is_no_meter_there_is_no_energy(nvml: Nvml) -> None:
    assert EnergyMeter("1234", nvml).joules() is None


def test_the_roofline_point_and_the_rest_become_columns() -> None:
    cost = GpuCost(graph_seconds=0.0015, largest=(64, 0.5), joules=1.25, traffic=10**9)
    columns = cost.columns(Latency(((0.002,),), "CUDA events"), 2, 10**10)
    assert columns == {
        "graph_latency_ms": "1.500",
        "largest_batch": "64",
        "largest_batch_images_per_second": "128.000",
        "energy_j": "1.2500",
        "tflops": "20.000",
        "flops_per_byte": "40.00",
    }
    shown = as_text([replace(ROW, **columns)])
    assert all(name in shown for name in GPU_COLUMNS)
    assert "128.000 at 64" in shown
    assert not any(name in as_text([ROW]) for name in GPU_COLUMNS)


def test_files_from_before_these_columns_are_read_and_go_on(tmp_path: Path) -> None:
    path = tmp_path / "profile.csv"
    path.write_text(",".join(WITHOUT_GPU) + "\n" + ",".join(getattr(ROW, name) for name in WITHOUT_GPU) + "\n")
    assert read_rows(path) == [ROW]
    add_row(path, replace(ROW, model="2"))
    assert path.read_text().startswith(",".join(COLUMNS))
    assert read_rows(path) == [ROW, replace(ROW, model="2")]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and torch finds none here")
def test_a_profile_on_a_gpu_has_them_all(tmp_path: Path) -> None:
    assert main(["profile", "model=nafnet", "variant=tiny", "device=cuda", "repeats=5", f"results={tmp_path}"]) == 0
    (row,) = read_rows(tmp_path / "profile.csv")
    assert row.clock == "CUDA events"
    assert float(row.graph_latency_ms) < 2 * float(row.latency_ms)
    assert int(row.largest_batch) >= 8
    assert float(row.tflops) > 0
    assert float(row.flops_per_byte) > 0
