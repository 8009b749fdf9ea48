"""ONNX files of any origin as restorers: ``model=onnx weights=FILE.onnx``, run by onnxruntime.

One input and one output image, (B, 3, H, W) in float32 or float16, at scale 1; batch and sides may be fixed. The file
is read once, and its sha256 is that of the very bytes that run; tensors in other files beside it are therefore refused.
Files of `models.exporting` say themselves which sides they take; of others it is found out by trying. onnxruntime is an
optional package: this module can be imported without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from ...messages import one_line
from ..card import ModelCard, SizeRule, Tiling, Variant
from ..errors import ModelError, imported
from ..registry import register

CARD = ModelCard(
    name="onnx",
    title="ONNX file",
    variants={"any": Variant(note="the network that the file holds; needs weights=FILE.onnx")},
    paper="see where the file comes from",
    url="https://onnx.ai",
    year=2017,
    code_licence="MIT (onnxruntime); the network in the file has a licence of its own",
    weights_licence="see where the file comes from",
    dtypes=("float32",),
    tiling=Tiling(allowed=False, note="what the network looks at is not known"),
    built_from="checkpoint",
)

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""onnxruntime's name of what runs on each kind of device."""
TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16}
TRIED_MULTIPLES = (1, 2, 4, 8, 16, 32, 64, 128)
LEAST_TRIED = 64
"""Pixels of a side that is free where the other is fixed."""
MULTIPLE, MINIMUM, PADDING = "restorebench.size_multiple", "restorebench.size_minimum", "restorebench.padding"
"""Metadata of files that `models.exporting` wrote."""
LAST = ", with the channels before the sides: transpose its input and output"
EXTERNAL, APART = b"location", ": it names other files with its tensors, and is read as one file alone"
"""Key of a tensor that lies in another file, and what is said where such a file cannot be run."""
QUIET = 4
"""onnxruntime's level of messages: only what ends the process."""


@register(CARD)
class OnnxNetwork(nn.Module):
    """The network of an ONNX file, (B, 3, H, W) in [0, 1] with sides that its card allows -> the same shape.

    Args:
        data: the file.
        source: its path, for messages.

    Raises:
        ModelError: onnxruntime is not installed or cannot read it, or it takes or gives something else.
    """

    def __init__(self, data: bytes, source: Path) -> None:
        super().__init__()
        self.source = source
        self._data = data
        self._sessions: dict[str, Any] = {}
        self._provider = ""
        session = self._session(torch.device("cpu"))
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ModelError(f"{source} has {len(inputs)} inputs and {len(outputs)} outputs: one image each is taken")
        for each in (inputs[0], outputs[0]):
            self._check(each)
        self.input, self.output = inputs[0].name, outputs[0].name
        self.dtype = TYPES[inputs[0].type]
        shape = [each if isinstance(each, int) and each > 0 else None for each in inputs[0].shape]
        self.batch, self.sides = shape[0], (shape[2], shape[3])
        self.metadata: Mapping[str, str] = dict(session.get_modelmeta().custom_metadata_map)

    def _check(self, value: Any) -> None:
        """ModelError unless an input or output of the session is a batch of RGB images."""
        shape = list(value.shape)
        colours = shape[1:2] == [3] or (shape[1:2] and not isinstance(shape[1], int) and shape[3:] != [3])
        if value.type not in TYPES or len(shape) != 4 or not colours:
            taken = f"float images (B, 3, H, W) are taken{LAST if shape[3:] == [3] else ''}"
            raise ModelError(f"{self.source}: {value.name!r} is {value.type} of shape {shape}: {taken}")

    @property
    def runtime(self) -> str:
        """What has run it last: onnxruntime's version and provider."""
        return f"onnxruntime {_package().__version__}, {self._provider}"

    def _session(self, device: torch.device) -> Any:
        """onnxruntime's session on a device, made when it is first needed.

        Raises:
            ModelError: it has no provider for the device here, or cannot read the file.
        """
        runtime = _package()
        provider = PROVIDERS.get(device.type)
        if provider not in runtime.get_available_providers():
            raise ModelError(
                f"onnxruntime has no provider for device={device.type} here (it has "
                f"{', '.join(runtime.get_available_providers())}): use device=cpu, or install onnxruntime-gpu"
            )
        key = str(device)
        if key not in self._sessions:
            options = runtime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            options.log_severity_level = QUIET
            chosen = provider if device.type == "cpu" else (provider, {"device_id": device.index or 0})
            try:
                session = runtime.InferenceSession(self._data, options, providers=[chosen])
            except Exception as error:  # of onnxruntime's own kinds, which share no base
                apart = APART if EXTERNAL in self._data else ""
                raise ModelError(f"{self.source} cannot be run by onnxruntime{apart} ({one_line(error)})") from error
            if provider not in session.get_providers():  # it falls back to the CPU with a mere warning
                raise ModelError(f"onnxruntime cannot use {provider} here: use device=cpu")
            self._sessions[key] = session
        self._provider = cast("str", provider)
        return self._sessions[key]

    def forward(self, x: Tensor) -> Tensor:
        """Degraded images (B, 3, H, W) -> restored ones, in float32 on the device of `x`.

        Raises:
            ModelError: the file has fixed sides, and these are others.
        """
        height, width = x.shape[-2:]
        if any(fixed not in (None, side) for fixed, side in zip(self.sides, (height, width), strict=True)):
            fixed = "x".join("any" if side is None else str(side) for side in self.sides)
            raise ModelError(f"{self.source} takes images of {fixed} only, this one has {height}x{width}")
        session = self._session(x.device)
        if self.batch is None:
            return self._run(session, x)
        # A fixed batch is filled up with the last image.
        parts = [x[start : start + self.batch] for start in range(0, len(x), self.batch)]
        filled = [torch.cat([part, part[-1:].expand(self.batch - len(part), -1, -1, -1)]) for part in parts]
        return torch.cat([self._run(session, each)[: len(part)] for each, part in zip(filled, parts, strict=True)])

    def _run(self, session: Any, x: Tensor) -> Tensor:
        values = x.detach().to(self.dtype).contiguous().cpu().numpy()
        (restored,) = session.run([self.output], {self.input: values})
        return torch.from_numpy(restored).to(x.device, torch.float32)

    def size_rule(self) -> SizeRule:
        """The sides that it takes: as the file says, or else the first of `TRIED_MULTIPLES` with which it runs.

        Raises:
            ModelError: it runs with none of them.
        """
        if self.sides != (None, None):
            height, width = (LEAST_TRIED if side is None else side for side in self.sides)
            if problem := self._problem((1, 3, height, width)):
                raise ModelError(f"{self.source} does not restore: {problem}")
            return SizeRule(minimum=min(side for side in self.sides if side is not None))
        stored, minimum = self.metadata.get(MULTIPLE, ""), self.metadata.get(MINIMUM, "1")
        if stored.isdecimal() and minimum.isdecimal() and int(stored) and int(minimum):
            padding = "zeros" if self.metadata.get(PADDING) == "zeros" else "reflect"
            return SizeRule(multiple=int(stored), minimum=int(minimum), padding=cast("Literal['reflect']", padding))
        problem = ""
        for multiple in TRIED_MULTIPLES:
            # An odd number of times the multiple, so that no larger power of two goes into it.
            side = multiple * (2 * (32 // multiple) + 1)
            tried = self._problem((1, 3, side, side + 2 * multiple))
            if not tried:
                return SizeRule(multiple=multiple, minimum=multiple)
            problem = problem or tried
        if not self._problem((1, side, side, 3)):
            raise ModelError(f"{self.source} takes images (B, H, W, 3): (B, 3, H, W) are given{LAST}")
        raise ModelError(f"{self.source} runs with no sides up to multiples of {TRIED_MULTIPLES[-1]}: {problem}")

    def _problem(self, shape: tuple[int, int, int, int]) -> str:
        """Why it makes no image of that shape of a black one, in words; empty where it does."""
        try:
            restored = self._run(self._session(torch.device("cpu")), torch.zeros((self.batch or 1, *shape[1:])))
        except Exception as error:  # of onnxruntime's own kinds, which share no base
            return one_line(error)
        if tuple(restored.shape[1:]) == shape[1:]:
            return ""
        return f"images of {shape} become {tuple(restored.shape)}"

    @classmethod
    def from_file(cls, data: bytes, card: ModelCard, source: Path) -> tuple[nn.Module, ModelCard]:
        """The network of a file, and the card with the sides that it takes."""
        network = cls(data, source)
        return network, replace(card, title=f"{source.stem} (ONNX)", size=network.size_rule())

    @classmethod
    def from_checkpoint(cls, state: Mapping[str, Tensor], card: ModelCard, source: Path) -> tuple[nn.Module, ModelCard]:
        """Always an error: tensors alone are no ONNX file."""
        raise ModelError(f"{source} is no ONNX file: model={card.name} takes weights=FILE.onnx")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_sessions": {}}

    def __deepcopy__(self, memo: dict[int, Any]) -> OnnxNetwork:
        memo[id(self)] = self  # it has no state that could change
        return self


def _package() -> Any:
    return imported("onnxruntime", f"model={CARD.name}", "export")
