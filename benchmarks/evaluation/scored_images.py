"""Images that another tool restored, as a row of the store: a cell whose network was not run here.

Its id hashes the names and bytes of the images in the place of weights. The images of a set are those that a run would
restore, read and degraded in the same way, so the row may be ranked with others.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...datasets.errors import DataError
from ...datasets.files.images import FORMATS, read_image
from ...datasets.files.pairing import NO_PARTNER, partnership
from ...datasets.samples import Sample, TaskData
from ...datasets.suites import ResolvedSuite
from ...datasets.tasks import Suite, Task
from ..environment import describe_environment
from ..errors import RestorationError, UserError
from ..protocols.lpips import Lpips
from ..protocols.protocol import Protocol
from ..store.folders import CellFolder, Store
from ..store.names import is_folder_name, is_title
from ..store.parts import (
    ComplexityRecord,
    DataRecord,
    EnvironmentRecord,
    Identity,
    LpipsRecord,
    NumericsRecord,
    WeightsRecord,
    cell_id,
)
from ..store.records import SCHEMA_VERSION, Record
from ..store.rows import ImageRow, mean_rows
from .config import RunConfig
from .pictures.image_files import READABLE, file_names, read_restored
from .pictures.previews import Previews, previews_of
from .pipeline import failed
from .plan import OWN_TASK, check_tasks, chosen_images
from .scoring import image_names

IMAGES = "images"
"""Provenance, kind of weights and variant of such a row."""
UNKNOWN = "not known"
MOST_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class OtherTool:
    """Who restored the images.

    Attributes:
        name: what tables call it.
        restored: folder of its images.
        parameters, macs: of its network, as the user says, multiply-adds at 1x3x256x256; None where they are not known.
    """

    name: str
    restored: Path
    parameters: int | None = None
    macs: int | None = None

    @property
    def model(self) -> str:
        """A folder's name for it: its name, or what of that can be one with the beginning of its hash."""
        if is_folder_name(self.name):
            return self.name
        digest = hashlib.sha256(self.name.encode()).hexdigest()[:6]
        return f"{re.sub(r'[^A-Za-z0-9_.@+-]+', '-', self.name).strip('-.')[:60] or IMAGES}-{digest}"

    def check(self) -> None:
        """Refuse what no table can print.

        Raises:
            UserError: the name, or a number that is none.
        """
        if not self.name.strip() or not is_title(self.name):
            raise UserError("--name: give a name of one line, 1 to 200 printable characters")
        for key, value in (("--params", self.parameters), ("--macs", self.macs)):
            if value is not None and value <= 0:
                raise UserError(f"{key}: give a number above 0, or leave it out")


@dataclass(frozen=True)
class CleanImages:
    """Clean images of the user's as a task whose degraded images are not known."""

    noisy: TaskData

    @property
    def task(self) -> Task:
        """``restore`` on the same set."""
        return Task(OWN_TASK, self.noisy.task.dataset)

    @property
    def names(self) -> tuple[str, ...]:
        """File names of the clean images."""
        return self.noisy.names

    @property
    def description(self) -> str:
        """Which images."""
        return f"{self.noisy.description.partition(', noise of')[0]}, whose degraded images are not known"

    @property
    def licence(self) -> str:
        """As of the folder."""
        return self.noisy.licence

    def __len__(self) -> int:
        return len(self.noisy)

    def __getitem__(self, index: int) -> Sample:
        """The clean image alone."""
        return replace(self.noisy[index], task=self.task, degraded=None)

    def fingerprint(self) -> str:
        """Of the clean images."""
        return self.noisy.fingerprint()


def chosen_task(config: RunConfig, protocols: Sequence[Protocol]) -> tuple[Suite, TaskData]:
    """The task that the images are of, in the suite beside whose rows they will stand.

    Args:
        config: as of ``bench run``: with ``dataset=folder`` folders of the user's, else ``tasks`` is a task or
            ``SUITE/TASK``. Without degraded images and noise level the input's scores are not known.
        protocols: each must be defined for it.

    Raises:
        UserError, DataError: there is no such task, or it does not say which one is meant.
    """
    known = config.dataset is None or config.degraded is not None or config.sigma is not None
    name, slash, wanted = (config.tasks or OWN_TASK).partition("/")
    given = config if known else replace(config, sigma=1)
    resolved = chosen_images(replace(given, tasks=name))
    by_label = {data.task.label: data for data in resolved.data}
    if not slash and len(by_label) == 1:
        wanted = next(iter(by_label))
    if wanted not in by_label:
        suite = resolved.suite.name
        raise UserError(f"--task {config.tasks}: give one of {', '.join(f'{suite}/{label}' for label in by_label)}")
    data = by_label[wanted]
    for protocol in protocols:
        if known:
            check_tasks(ResolvedSuite(replace(resolved.suite, tasks=(data.task,)), (data,), ""), protocol)
        elif not protocol.pairs:
            raise UserError(f"{protocol} is for denoising alone: give --sigma, or another protocol")
    if known:
        return resolved.suite, data
    clean = CleanImages(data)
    return replace(resolved.suite, tasks=(clean.task,)), clean


def matched(folder: Path, data: TaskData) -> dict[str, Path]:
    """The restored image of each sample that has one, under the name by which it is saved here, or paired as elsewhere.

    Raises:
        UserError, DataError: an image that fits none of the set, or several that fit one: they are of another set.
    """
    saved = {PurePath(file).stem: name for name, file in file_names(data.names, "npy").items()}
    files, found, strange = image_names(folder, READABLE), dict[str, Path](), list[str]()
    pairing = partnership([file for file in files if PurePath(file).stem not in saved], data.names, data.task.key)
    for file in files:
        name = saved.get(PurePath(file).stem) or pairing.clean.get(file)
        if name is None:
            if not pairing.problems[file].startswith(NO_PARTNER):
                raise UserError(f"{folder / file}: {pairing.problems[file]}")
            strange.append(file)
        elif name in found:
            raise UserError(f"{folder}: {found[name].name} and {file} are both images of {name}; keep one of them")
        else:
            found[name] = folder / file
    if strange or not found:
        more = f" and {len(strange) - MOST_NAMED} more" if len(strange) > MOST_NAMED else ""
        raise UserError(
            f"{folder}: {', '.join(strange[:MOST_NAMED])}{more} fit no image of {data.task.key}, whose names are like "
            f"{data.names[0]}: take them away, or name the task with --task"
        )
    return found


def check_clean(folder: Path, data: TaskData) -> None:
    """Make sure that the user's clean images are those of the set.

    Raises:
        UserError, DataError: one is another image, or cannot be read.
    """
    pairing = partnership(data.names, image_names(folder, tuple(FORMATS)), str(folder))
    for index, name in enumerate(data.names):
        own = pairing.clean.get(name)
        if own is not None and not np.array_equal(read_image(folder / own), data[index].clean):
            raise UserError(f"{folder / own} is not the clean image of {name} in {data.task.key}: leave --clean out")


@dataclass(frozen=True, kw_only=True)
class ScoredImages:
    """Images of another tool on a task under a protocol: a cell to be stored.

    Attributes:
        tool: who restored them.
        suite, data: the task and its suite.
        files: the restored image of each sample that has one (`matched`).
        protocol, lpips: how they are scored.
        config, command: for the record: what was asked for.
    """

    tool: OtherTool
    suite: Suite
    data: TaskData
    files: dict[str, Path]
    protocol: Protocol
    lpips: Lpips | None
    config: dict[str, Any]
    command: str

    def store(self, store: Store) -> tuple[CellFolder, Record]:
        """Score the images and write the cell; what an earlier call stored of the same images is written anew.

        Raises:
            UserError, CellBusyError: the folder cannot be written, or another process is at it.
        """
        store.prepare()
        identity = self._identity()
        folder = store.cell(self.suite.name, self.tool.model, cell_id(identity))
        started = datetime.now(UTC)
        with folder.claimed(wait_seconds=-1):
            folder.set_aside_damage()
            folder.begin([])
            previews = previews_of("auto", self.data, folder.path, store.root, identity)
            rows = [self._row(index, name, previews) for index, name in enumerate(self.data.names)]
            for row in rows:
                folder.append(row)
            record = self._record(identity, rows, started)
            folder.finish(record, self.data.names)
        return folder, record

    def _identity(self) -> Identity:
        return Identity(
            model=self.tool.model,
            variant=IMAGES,
            overrides={},
            revision=0,
            weights=_digest(self.files),
            seed=None,
            task=self.data.task.key,
            data=self.data.fingerprint(),
            protocol=self.protocol.describe(),
            numerics=NumericsRecord(
                device=UNKNOWN, dtype=UNKNOWN, tf32=False, channels_last=False, compile=False, tile=None
            ),
        )

    def _row(self, index: int, name: str, previews: Previews) -> ImageRow:
        try:
            if name not in self.files:
                raise UserError(f"no restored image in {self.tool.restored}")
            return self._scored(name, self.data[index], read_restored(self.files[name]), previews)
        except (DataError, UserError, RestorationError, MemoryError, OSError) as error:
            return failed(name, error)

    def _scored(self, name: str, sample: Sample, output: NDArray[np.float32], previews: Previews) -> ImageRow:
        rows, columns = self.protocol.kept((sample.clean.shape[0], sample.clean.shape[1]))
        clean = _tensor(sample.clean[rows, columns])
        restored = _tensor(output[rows, columns] if output.shape[:2] == sample.clean.shape[:2] else output)
        if restored.shape != clean.shape:
            size, wanted = ("x".join(map(str, shape[:2][::-1])) for shape in (output.shape, sample.clean.shape))
            kept = f"{clean.shape[2]}x{clean.shape[1]}"
            raise UserError(
                f"restored image of {size} pixels (width x height), {self.protocol} takes {wanted} or {kept}"
            )
        scores = self.protocol.score_saved(restored, clean, self.lpips)
        degraded, floor = None, (math.nan, math.nan)
        if not isinstance(self.data, CleanImages):
            pair = self.protocol.prepare(sample)
            floor_scores = self.protocol.score(pair.degraded, pair.clean)
            degraded, floor = pair.degraded, (floor_scores.psnr, floor_scores.ssim)
        row = ImageRow(
            image=name,
            status="ok",
            psnr=scores.psnr,
            ssim=scores.ssim,
            lpips=scores.lpips,
            input_psnr=floor[0],
            input_ssim=floor[1],
            lpips_by=self.lpips.label if self.lpips else "",
        )
        if row.problem:
            raise RestorationError(row.problem)
        previews.save(name, degraded, clean, restored)
        return row

    def _record(self, identity: Identity, rows: Sequence[ImageRow], started: datetime) -> Record:
        task, scored = self.data.task, [row for row in rows if row.status == "ok"]
        whole = self.lpips is not None and bool(scored)
        return Record(
            schema_version=SCHEMA_VERSION,
            cell=cell_id(identity),
            suite=self.suite.name,
            suite_tasks=tuple(each.key for each in self.suite.tasks),
            task=task.name,
            dataset=task.dataset,
            sigma=task.sigma,
            model=self.tool.model,
            title=self.tool.name,
            variant=IMAGES,
            overrides={},
            provenance=IMAGES,
            weights=WeightsRecord(
                kind=IMAGES,
                path=str(self.tool.restored),
                sha256=identity.weights,
                provenance=IMAGES,
                description=f"{len(self.files)} images restored by another tool, scored as they are",
                training=None,
            ),
            protocol=str(self.protocol),
            lpips=LpipsRecord(
                backbone=self.protocol.lpips_backbone,
                weights=self.lpips.choice.sha256 if whole and self.lpips is not None else None,
            ),
            identity=identity,
            data=DataRecord(description=self.data.description, licence=self.data.licence),
            expected=len(self.data),
            scored=len(scored),
            failures=tuple((row.image, row.message) for row in rows if row.status == "failed"),
            means=mean_rows(scored),
            complexity=_complexity(self.tool),
            config=self.config,
            environment=EnvironmentRecord(**describe_environment("cpu")),
            command=self.command,
            started=started.isoformat(timespec="seconds"),
            finished=datetime.now(UTC).isoformat(timespec="microseconds"),
            seconds=0.0,
            computed=len(rows),
        )


def _tensor(image: NDArray[Any]) -> Tensor:
    """(H, W, 3) -> (3, H, W)."""
    return torch.from_numpy(image.transpose(2, 0, 1).copy())


def _digest(files: dict[str, Path]) -> str:
    """SHA-256 (hex) of the images: over the name and the bytes of each, and the sample that it is of."""
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        for part in (name, path.name, content):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(f"{len(data)}:".encode() + data)
    return digest.hexdigest()


def _complexity(tool: OtherTool) -> ComplexityRecord:
    if tool.parameters is None and tool.macs is None:
        statement = "not known: the network was not run here"
    else:
        statement = "as given with --params and --macs (multiply-adds at 1x3x256x256), not counted here"
    return ComplexityRecord(parameters=tool.parameters, macs=tool.macs, statement=statement)
