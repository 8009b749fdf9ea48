"""``restorebench.evaluate``: what ``bench run`` does, from a script, for networks that have no name too."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator
from typing import Literal

from torch import nn
from tqdm.auto import tqdm

from ...datasets.suites import Source
from ...models import ModelError, WeightsInfo, create_model, list_models
from ...models.registry import is_usable_name
from ...models.restorer import Restorer
from ..errors import UserError
from ..inference.given import device_for, given_restorer, left_as_it_was
from ..store.records import ImageRow, mean_rows
from .config import DataConfig, LpipsConfig, RunConfig
from .fingerprint import fingerprint
from .job import Job
from .pipeline import Scorer, compute_rows
from .plan import KeptPlans, RunPlan, make_plan
from .results import Evaluation, TaskRows, image_frame, summary_frame

DEFAULT_SUITE = "5d"
OWN_TASK = "restore"
"""The task of images of the user's own, unless it is named."""


def evaluate(
    model: str | nn.Module,
    tasks: str | None = None,
    *,
    protocol: str = "promptir@1",
    variant: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    dtype: str = "float32",
    batch: int | Literal["auto"] = 1,
    tile: int | None = None,
    data: Source = "auto",
    size: int | Literal["full"] = 256,
    root: str | os.PathLike[str] | None = None,
    degraded: str | os.PathLike[str] | None = None,
    clean: str | os.PathLike[str] | None = None,
    sigma: int | None = None,
    lpips: bool | str | os.PathLike[str] | None = None,
    limit: int | None = None,
    results: str | os.PathLike[str] | None = None,
    name: str | None = None,
    label: str | None = None,
    group: str | None = None,
    progress: bool = True,
) -> Evaluation:
    """Score a restorer on a suite under a protocol.

    Args:
        model: name of a registered restorer; or any network, (B, 3, H, W) in [0, 1] -> the same shape, whose device and
            training mode are as before afterwards.
        tasks: a suite or a task of `list_tasks`, with another of its sets as ``denoise@Urban100``; None: ``5d``, or
            ``restore`` with images of your own.
        protocol: a name of `list_protocols`.
        variant, weights: as for `create_model`, with a name.
        device: ``auto`` (CUDA where there is one; a network given stays where it is), ``cpu``, ``cuda``, ``cuda:1``,
            ``mps``.
        dtype: ``float32``; ``bfloat16`` or ``float16`` under autocast.
        batch: images of equal shape that go through the network at once.
        tile: side in pixels of overlapping tiles; None: whole images, tiles only where memory does not suffice.
        data: ``standard``: the standard test sets under `root`; ``embedded``: the photographs inside scikit-image;
            ``auto``: the standard ones if they are whole, else the embedded ones, which the result says.
        size: side in pixels of the embedded images' centre crop, or ``full``.
        root: folder of the standard test sets; None: the environment variable ``RESTOREBENCH_DATA``.
        degraded, clean, sigma: images of your own in place of a suite's, pairs found by name; without `degraded`, noise
            of `sigma` grey levels is drawn on the clean ones.
        lpips: None: where its weights are here; True: in any case; False: not; or the file with the backbone's weights.
        limit: only the first images of each task, for a quick look; with `results`, a later call without it goes on
            from their rows, and until then they are partial.
        results: a results folder that gets the cells, exactly those of ``bench run`` for a registered name; what it
            holds already is not computed again. None: nothing is written.
        name: of a network that has none, needed with `results`: lower-case letters, digits, and ``_-.`` between them.
            Its cells are told apart by a hash of its tensors, attributes and code (`fingerprint`), so another network
            under the same name is another row; so is one that changes its own attributes while it runs.
        label: what tables call a file of `weights`; None: the file's name.
        group: a name that several weights of one network share; their mean is one row more.
        progress: whether to show a bar.

    Returns:
        The scores. An image that fails (unreadable, NaN, wrong shape, the network raises) is a row that says so.

    Raises:
        UserError, ModelError, DataError: what was asked for cannot be done, in one line.
    """
    config = RunConfig(
        model=model if isinstance(model, str) else "",
        variant=variant,
        weights=_text(weights),
        label=label,
        group=group,
        tasks=tasks or (DEFAULT_SUITE if clean is None and degraded is None else OWN_TASK),
        protocol=protocol,
        data=DataConfig(source=data, root=_text(root), size=size),
        dataset=None if clean is None and degraded is None else "folder",
        degraded=_text(degraded),
        clean=_text(clean),
        sigma=sigma,
        device=device,
        dtype=dtype,
        tile=tile,
        batch=batch,
        metrics="auto" if lpips is None else ["psnr", "ssim", "lpips"] if lpips else ["psnr", "ssim"],
        lpips=LpipsConfig(weights=None if lpips is None or isinstance(lpips, bool) else _text(lpips)),
        limit=limit,
        results=_text(results) or "results",
        workers=1,
        progress=progress,
    )
    if isinstance(model, str):
        if name is not None:
            raise UserError("name= is for a network that has none; a registered restorer has its own")
        return _evaluation(make_plan(config), stored=results is not None)
    if variant is not None or weights is not None:
        raise UserError("variant= and weights= go with the name of a registered restorer, not with a network")
    config.device = device_for(model, device)
    restorer = _described(model, name, config, stored=results is not None)
    with left_as_it_was(model):
        return _evaluation(make_plan(config, restorer), stored=results is not None)


def _text(path: str | os.PathLike[str] | None) -> str | None:
    return None if path is None else os.fspath(path)


def _described(model: nn.Module, name: str | None, config: RunConfig, *, stored: bool) -> Restorer:
    """The restorer that a network is in tables and in the store, entered into the configuration.

    Raises:
        UserError: it needs a name, or another one.
    """
    if isinstance(model, Restorer) and name is None and is_as_created(model):
        restorer = model
    else:
        if stored and name is None:
            raise UserError("a network without a name cannot be stored: give it one with name=")
        if name is not None:
            _check_name(name)
        restorer = given_restorer(model, name or _class_of(model).lower(), _weights_of(model) if stored else None)
    config.model, config.variant = restorer.card.name, restorer.variant
    named = restorer.weights.kind in ("none", "bundled")
    config.weights = restorer.weights.kind if named else _text(restorer.weights.path)
    config.weights_key = restorer.weights.key
    config.overrides = dict(restorer.overrides)
    return restorer


def is_as_created(restorer: Restorer) -> bool:
    """Whether `create_model` makes the same restorer, and so its registered name may stand for it."""
    info = restorer.weights
    weights = info.path or ("none" if info.kind == "none" else None)
    try:
        chosen = {**restorer.overrides, "weights": weights, "weights_key": info.key}
        twin = create_model(restorer.card.key, variant=restorer.variant, **chosen)
    except ModelError:  # its weights are gone, or its class is no longer registered
        return False
    same = (twin.variant, twin.weights.sha256, twin.card) == (restorer.variant, info.sha256, restorer.card)
    return same and fingerprint(twin.network) == fingerprint(restorer.network)


def _weights_of(model: nn.Module) -> WeightsInfo:
    """What a record says in place of a file with weights: the network's own hash."""
    parts = (model.network, model.size, model.card.tiling) if isinstance(model, Restorer) else (model,)
    inner = model.network if isinstance(model, Restorer) else model
    kind = f"{type(inner).__module__}.{type(inner).__qualname__}"
    return WeightsInfo("memory", None, fingerprint(*parts), "foreign", f"given from Python, class {kind}")


def _class_of(model: nn.Module) -> str:
    return type(model.network if isinstance(model, Restorer) else model).__name__


def _check_name(name: str) -> None:
    if not is_usable_name(name):
        raise UserError(
            f"name={name!r} is unusable: take lower-case letters and digits, and '_', '-', '.' between them,"
            " but not 'all'"
        )
    if name in {card.name for card in list_models()}:
        raise UserError(f"name={name!r} is a registered restorer's: give this network another one")


def _evaluation(plan: RunPlan, *, stored: bool) -> Evaluation:
    rows = _stored_rows(plan) if stored else _rows_in_memory(plan)
    card = plan.card
    shared = {
        "model": card.name,
        "variant": plan.variant,
        "suite": plan.suite.suite.name,
        "protocol": str(plan.protocol),
    }
    return Evaluation(
        **shared,
        provenance=plan.weights.provenance,
        weights=plan.weights.description,
        device=plan.numerics.device,
        dtype=plan.numerics.dtype,
        images=image_frame(rows, shared),
        summary=summary_frame(rows, shared),
        notices=(plan.suite.notice,) if plan.suite.notice else (),
        store=plan.store.root if stored else None,
    )


def _stored_rows(plan: RunPlan) -> list[TaskRows]:
    """Compute the cells that are missing, and read all of them."""
    plan.store.prepare()
    kept = KeptPlans([plan], _command(plan))
    Job(plan, command=_command(plan)).run()
    kept.finish([])
    cells = [plan.cell(data) for data in plan.suite.data]
    folders = [plan.store.cell(cell.suite, cell.model, cell.id) for cell in cells]
    return [
        TaskRows(data.task, len(names := plan.names(data)), len(data), [r for r in folder.rows() if r.image in names])
        for data, folder in zip(plan.suite.data, folders, strict=True)
    ]


def _command(plan: RunPlan) -> str:
    """What a record says of how to repeat it: a command line, or the call where no command line has the network."""
    config = plan.config
    if plan.weights.kind == "memory":
        return (
            f"restorebench.evaluate(<{plan.weights.description}>, {plan.suite.suite.name!r}, name={plan.card.name!r})"
        )
    data = config["data"]
    values = {
        **{key: config[key] for key in ("model", "variant", "weights", "weights_key", "tasks", "dataset")},
        **{key: config[key] for key in ("degraded", "clean", "label", "group", "sigma", "protocol", "device", "dtype")},
        **{key: config[key] for key in ("tile", "batch", "limit", "results")},
        **{f"+overrides.{key}": value for key, value in config["overrides"].items()},
        "data.source": data["source"],
        "data.root": data["root"],
        "data.size": data["size"],
        "lpips.weights": config["lpips"]["weights"],
        "metrics": "auto" if config["metrics"] == "auto" else f"[{','.join(config['metrics'])}]",
    }
    return shlex.join(["bench", "run", *(f"{key}={value}" for key, value in values.items() if value is not None)])


class _Rows:
    """Rows kept in memory, with a bar that counts them and shows their mean PSNR."""

    def __init__(self, bar: tqdm, label: str) -> None:  # type: ignore[type-arg]
        self.rows: list[ImageRow] = []
        self.bar, self.label = bar, label

    def append(self, row: ImageRow) -> None:
        """Keep a row."""
        self.rows.append(row)
        mean = mean_rows(self.rows).psnr
        self.bar.set_postfix_str(self.label if mean is None else f"{self.label} PSNR {mean:.2f} dB", refresh=False)
        self.bar.update()


def _rows_in_memory(plan: RunPlan) -> list[TaskRows]:
    job = Job(plan, command="")
    several = [(data, plan.names(data)) for data in plan.suite.data]
    result = []
    with _bar(sum(len(names) for _, names in several), plan) as bar:
        for data, names in several:
            sink = _Rows(bar, data.task.label)
            compute_rows(sink, data, names, job.runner, Scorer(plan.protocol, job.lpips), progress=False)
            result.append(TaskRows(data.task, len(names), len(data), sink.rows))
    return result


@contextlib.contextmanager
def _bar(total: int, plan: RunPlan) -> Iterator[tqdm]:  # type: ignore[type-arg]
    """A bar over all images; where there is no terminal, plain characters and a line now and then."""
    terminal = sys.stderr.isatty()
    with tqdm(
        total=total,
        desc=f"{plan.card.name} on {plan.suite.suite.name}",
        unit="image",
        leave=not terminal,
        ascii=not terminal,
        mininterval=0.1 if terminal else 10,
        disable=not plan.progress,
    ) as bar:
        yield bar
