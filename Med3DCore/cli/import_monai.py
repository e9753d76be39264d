"""``med3d models import-monai``: make a model of a SegResNet of MONAI's Auto3DSeg."""

from __future__ import annotations

import argparse

from Med3DCore.cli.arguments import path
from Med3DCore.cli.new_model import add_imported_model, saved


def add_action(actions: argparse._SubParsersAction) -> None:
    """Register the action."""
    action = actions.add_parser("import-monai", help="make a model of a SegResNet of MONAI's Auto3DSeg")
    action.add_argument("source", type=path, help="model.pt, the folder that holds it and labels.csv, or a zip of both")
    add_imported_model(action, "the folder's or zip's")
    action.set_defaults(act=_run)


def _run(args: argparse.Namespace) -> int:
    from Med3DCore.models.monai.importing import import_monai

    package, weights = import_monai(args.source, args.name, args.version, args.licence, args.title)
    target = saved(package, weights, args, args.half)
    channels = len(package.stages[0].preprocessing["intensity"]["channels"])
    print(f"{channels} image(s) of a patient; {len(package.labels)} labels: {', '.join(package.label_names)}")
    print(f"Saved as {target}")
    return 0
