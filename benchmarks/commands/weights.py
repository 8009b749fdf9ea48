"""``bench weights``: which checkpoints there are and where they live; turning one into safetensors."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from ...models.card import Checkpoint, ModelCard, Provenance
from ...models.checkpoints.writing import has_checked_facts, read_metadata, save_weights
from ...models.files import check_file, file_sha256
from ...models.registry import check_variant, get_card, list_models
from ...models.weights import bundled_path, weights_folder
from ..errors import UserError
from .front.parsing import Parser

SUFFIX = ".safetensors"


def main(arguments: Sequence[str]) -> int:
    """``bench weights list [--json]`` or ``bench weights convert IN OUT.safetensors [--model NAME]``.

    Raises:
        UserError, ModelError: a file is missing, unreadable, in the way, or does not fit.
    """
    options = parser().parse_args(arguments)
    return list_weights(as_json=options.json) if options.action == "list" else convert(options)


def parser() -> argparse.ArgumentParser:
    """The command's own parser."""
    top = Parser(prog="bench weights", description="Published checkpoints and weights files.")
    actions = top.add_subparsers(dest="action", required=True, metavar="list|convert")
    listing = actions.add_parser("list", help="published and bundled weights: where they live, licence, whether here")
    listing.add_argument("--json", action="store_true", help="as JSON")
    converting = actions.add_parser(
        "convert",
        help="write the tensors of a checkpoint as safetensors; no code of the file is run",
        description="Write the tensors of a checkpoint as safetensors. No code of the file is run.",
    )
    converting.add_argument("source", type=Path, metavar="IN", help="a checkpoint (.pth, .ckpt, .safetensors)")
    converting.add_argument("target", type=Path, metavar="OUT.safetensors")
    converting.add_argument("--model", help="check that it fits this restorer, and write its keys")
    converting.add_argument("--variant", help="with --model: its size")
    converting.add_argument("--weights-key", metavar="KEY", help="of IN with several state dicts, its dotted path")
    converting.add_argument("--half", action="store_true", help="in half precision (fp16): half the size, 3 digits")
    converting.add_argument("--force", action="store_true", help="replace OUT if it is there")
    return top


def list_weights(*, as_json: bool) -> int:
    """Print one row per published checkpoint and bundled file."""
    rows = [row for card in list_models() for row in (*published_rows(card), *bundled_rows(card))]
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    blocks = ["\n".join(f"{key}: {value}" for key, value in row.items()) for row in rows]
    text = "\n\n".join(blocks) or "no restorer has published or bundled weights"
    sys.stdout.write(f"{text}\n\nweights folder: {weights_folder()} (RESTOREBENCH_WEIGHTS names another)\n")
    return 0


def published_rows(card: ModelCard) -> list[dict[str, Any]]:
    """What is known of a restorer's published checkpoints, and of those that lie in the weights folder."""
    return [_row(card, checkpoint, weights_folder() / checkpoint.file_name) for checkpoint in card.checkpoints]


def _row(card: ModelCard, checkpoint: Checkpoint, path: Path) -> dict[str, Any]:
    here = path.is_file()
    digest = file_sha256(path) if here else None
    state = "here" if here else "not here"
    if here and checkpoint.sha256 is not None:
        state = "here, the published file" if digest == checkpoint.sha256 else "here, ANOTHER file of that name"
    return {
        "model": card.name,
        "variant": checkpoint.variant,
        "file": checkpoint.file_name,
        "trained for": checkpoint.trained_for,
        "licence": checkpoint.licence,
        "where": checkpoint.url,
        "state": state,
        "sha256": digest or checkpoint.sha256 or "unknown",
    }


def bundled_rows(card: ModelCard) -> list[dict[str, Any]]:
    """The weights that the package itself has for a restorer: none or one."""
    path = bundled_path(card)
    if not path.is_file():
        return []
    metadata = read_metadata(path)
    return [
        {
            "model": card.name,
            "variant": metadata.get("restorebench.variant", "tiny"),
            "file": path.name,
            "trained for": metadata.get("restorebench.trained_for", "-"),
            "licence": metadata.get("restorebench.licence", "MIT"),
            "where": "in the package",
            "state": "here, bundled",
            "sha256": file_sha256(path),
        }
    ]


def convert(options: argparse.Namespace) -> int:
    """Read a checkpoint and write its tensors as safetensors, with where they come from as metadata.

    With a model the keys become that restorer's, and the file says which one it fits; without, they stay as they are.
    """
    source, target = options.source.expanduser(), options.target.expanduser()
    check_file(source)
    if target.suffix != SUFFIX:
        raise UserError(f"{target} does not end in {SUFFIX}; give the output such a name")
    if target.exists() and not options.force:
        raise UserError(f"{target} is there already; give another name, or --force")
    if options.variant and not options.model:
        raise UserError("--variant says the size of a restorer; name that with --model")
    if options.model:
        check_variant(get_card(options.model), options.variant)
    from ...models.checkpoints.trained import trainer_metadata

    sha256 = file_sha256(source)
    facts = {key: value for key, value in read_metadata(source).items() if key.startswith("restorebench.")}
    trained = has_checked_facts(source, sha256, facts)
    if not trained and (steps := trainer_metadata(source)):
        facts, trained = steps, True
    if facts.get("restorebench.provenance") not in get_args(Provenance):
        facts.pop("restorebench.provenance", None)
    metadata = {**facts, "restorebench.source": source.name, "restorebench.source_sha256": sha256}
    if options.model:
        from ...models.factory import create_model

        restorer = create_model(options.model, variant=options.variant, weights=source, weights_key=options.weights_key)
        state = restorer.network.state_dict()
        # What the new file says of the old one; a reader shows it as what the file says, as it has another hash.
        metadata |= {
            "restorebench.model": options.model,
            "restorebench.variant": restorer.variant,
            "restorebench.provenance": restorer.weights.provenance,
        }
    else:
        from ...models.checkpoints.reading import open_checkpoint

        location, state = open_checkpoint(source, sha256=sha256).state_dict(options.weights_key)
        if location:
            sys.stdout.write(f"{source}: the tensors of {location!r}\n")
    if options.half:
        state = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    save_weights(state, target, metadata, trained=trained)
    sys.stdout.write(f"{target}: {len(state)} tensors, sha256 {file_sha256(target)}\n")
    return 0
