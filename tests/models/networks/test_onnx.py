"""ONNX files as restorers: any batch and size or fixed ones, what is refused, and a row of the benchmark."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from restorebench.benchmarks.commands.main import main
from restorebench.models import ModelError, create_model

pytestmark = pytest.mark.slow

Shape = Sequence[int | str]
FREE: Shape = ("batch", 3, "height", "width")
Writer = Callable[..., Path]


@pytest.fixture(scope="module")
def onnx() -> ModuleType:
    pytest.importorskip("onnxruntime", reason="the optional package onnxruntime is not installed")
    module: ModuleType = pytest.importorskip("onnx", reason="the optional package onnx is not installed")
    return module


@pytest.fixture
def written(onnx: ModuleType, tmp_path: Path) -> Writer:
    """Writes a file of an ONNX network that halves an image, after cutting it into blocks and putting it together."""

    def write(
        name: str = "half.onnx", shape: Shape = FREE, *, block: int = 1, kind: str = "FLOAT", inputs: int = 1,
        metadata: dict[str, str] | None = None, out: Shape | None = None, factors: Sequence[float] = (0.5,),
        scale: int = 1,
    ) -> Path:  # fmt: skip
        helper, number = onnx.helper, getattr(onnx.TensorProto, kind)
        given = [helper.make_tensor_value_info(f"x{i or ''}", number, shape) for i in range(inputs)]
        result = helper.make_tensor_value_info("y", number, shape if out is None else out)
        half = onnx.numpy_helper.from_array(np.asarray(factors, helper.tensor_dtype_to_np_dtype(number)), "half")
        nodes = [helper.make_node("Mul", ["x", "half"], ["z"])]
        for operator, source, target in (("SpaceToDepth", "z", "blocks"), ("DepthToSpace", "blocks", "y")):
            nodes.append(helper.make_node(operator, [source], [target], blocksize=block))
        sides = onnx.numpy_helper.from_array(np.asarray([1, 1, scale, scale], np.float32), "sides")
        if not block:  # any layout
            nodes = [helper.make_node("Mul", ["x", "half"], ["y"])]
        elif scale > 1:
            nodes[1:] = [helper.make_node("Resize", ["z", "", "sides"], ["y"])]
        elif out is not None:
            nodes[-1] = helper.make_node("Identity", ["blocks"], ["y"])
        graph = helper.make_graph(nodes, "halving", given, [result], [half, sides])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        helper.set_model_props(model, metadata or {})
        path = tmp_path / name
        path.write_bytes(model.SerializeToString())
        return path

    return write


def restored(path: Path, *shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A random image of a shape, and what the file makes of it."""
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return image, create_model("onnx", weights=path)(image)


@pytest.mark.parametrize("shape", [(1, 3, 16, 24), (3, 3, 17, 5)])
def test_a_file_without_sizes_takes_any(written: Writer, shape: tuple[int, ...]) -> None:
    image, output = restored(written(), *shape)
    assert torch.allclose(output, image / 2)


def test_half_precision_files_take_and_give_single(written: Writer) -> None:
    image, output = restored(written(kind="FLOAT16"), 1, 3, 8, 8)
    assert output.dtype == torch.float32
    assert torch.allclose(output, image / 2, atol=1e-3)


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_a_fixed_batch_is_filled_up(written: Writer, batch: int) -> None:
    image, output = restored(written(shape=(batch, 3, "h", "w")), 3, 3, 8, 8)
    assert torch.allclose(output, image / 2)


def test_the_multiple_of_its_sides_is_found_by_trying_or_told_by_the_file(written: Writer) -> None:
    found = create_model("onnx", weights=written(block=4))
    assert found.size.multiple == 4
    image, output = restored(written(block=4), 1, 3, 17, 30)
    assert torch.allclose(output, image / 2)
    told = written(
        "told.onnx", block=4, metadata={"restorebench.size_multiple": "8", "restorebench.size_minimum": "16"}
    )
    assert create_model("onnx", weights=told).size.padded(3) == 16


def test_fixed_sides_pad_smaller_images_and_refuse_larger_ones(written: Writer) -> None:
    path = written(shape=(1, 3, 32, 32))
    image, output = restored(path, 1, 3, 20, 32)
    assert torch.allclose(output, image / 2)
    with pytest.raises(ModelError, match="takes images of 32x32 only, this one has 40x32"):
        restored(path, 1, 3, 40, 32)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shape": ("b", 1, "h", "w")}, r"'x' is tensor\(float\) of shape \['b', 1, 'h', 'w'\]: float images"),
        ({"kind": "DOUBLE"}, r"tensor\(double\)"),
        ({"inputs": 2}, "has 2 inputs and 1 outputs"),
        ({"block": 2, "out": ("b", 12, "h2", "w2")}, r"'y' is tensor\(float\) of shape \['b', 12"),
        ({"block": 200}, "runs with no sides up to multiples of 128"),
        ({"shape": (3, "h", "w"), "block": 0}, r"of shape \[3, 'h', 'w'\]: float images"),
        ({"shape": ("b", "h", "w", 3), "block": 0}, r"are taken, with the channels before the sides: transpose"),
        ({"shape": (1, 64, 64, 3), "block": 0}, r"are taken, with the channels before the sides: transpose"),
        ({"shape": ("b", "h", "w", "c"), "block": 0, "factors": (1, 1, 1)}, r"channels before the sides: transpose"),
        ({"scale": 2, "out": ("b", 3, "h2", "w2")}, r"no sides up to multiples of 128: images of .* become"),
        (
            {"shape": (1, 3, 32, 48), "scale": 2, "out": (1, 3, "h", "w")},
            r"does not restore: images of \(1, 3, 32, 48\) become \(1, 3, 64, 96\)",
        ),
    ],
)
def test_other_networks_are_refused_in_one_line(written: Writer, options: dict[str, object], said: str) -> None:
    path = written("other.onnx", **options)
    with pytest.raises(ModelError, match=said) as caught:
        create_model("onnx", weights=path)
    assert "\n" not in str(caught.value)


def test_what_is_no_onnx_file_is_refused(written: Writer, tmp_path: Path) -> None:
    path = tmp_path / "none.onnx"
    for data in (b"nothing of the kind", b"", pickle.dumps({"state_dict": {}}), written().read_bytes()[:60]):
        path.write_bytes(data)
        with pytest.raises(ModelError, match=r"none\.onnx cannot be run by onnxruntime") as caught:
            create_model("onnx", weights=path)
        assert "\n" not in str(caught.value)


def test_tensors_in_other_files_are_refused(
    onnx: ModuleType, written: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(written())
    onnx.save_model(model, tmp_path / "apart.onnx", save_as_external_data=True, location="apart.bin", size_threshold=0)
    assert (tmp_path / "apart.bin").is_file()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ModelError, match=r"apart\.onnx .*: it names other files with its tensors, and is read as one file alone"
    ):
        create_model("onnx", weights=tmp_path / "apart.onnx")


def test_copies_share_what_runs(written: Writer) -> None:
    restorer = create_model("onnx", weights=written())
    assert torch.equal(copy.deepcopy(restorer)(torch.ones(1, 3, 4, 4)), torch.full((1, 3, 4, 4), 0.5))


def test_a_file_is_a_row_with_its_hash_and_its_provider(written: Writer, tmp_path: Path) -> None:
    path = written()
    results = tmp_path / "results"
    asked = ["run", "model=onnx", f"weights={path}", "tasks=denoise", "data.size=64", "limit=2", "device=cpu"]
    assert main([*asked, f"results={results}", "previews=none", "metrics=[psnr]", "progress=false"]) == 0
    record = json.loads(sorted(results.rglob("record.json"))[0].read_text(encoding="utf-8"))
    assert record["weights"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record["title"] == "half (ONNX)"
    assert record["provenance"] == "foreign"
    assert record["environment"]["runtime"].startswith("onnxruntime ")
    assert record["environment"]["runtime"].endswith(" CPUExecutionProvider")
    assert record["complexity"]["parameters"] is None
    assert record["scored"] == 2
