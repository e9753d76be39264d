"""``med3d models import-monai``: make a model of a SegResNet of MONAI's Auto3DSeg."""

from __future__ import annotations

import argparse

from Med3DCore.cli.arguments import path
from Med3DCore.models import Catalogue, save_package


def add_action(actions: argparse._SubParsersAction) -> None:
    """Register the action."""
    action = actions.add_parser("import-monai", help="make a model of a SegResNet of MONAI's Auto3DSeg")
    action.add_argument("source", type=path, help="model.pt, the folder that holds it and labels.csv, or a zip of both")
    action.add_argument("--name", help="name of the model; by default the folder's or zip's")
    action.add_argument("--version", default="1.0.0", help="three numbers (default: %(default)s)")
    action.add_argument("--title", default="", help="name shown to people")
    action.add_argument("--licence", default="not stated", help="licence of the weights (default: %(default)s)")
    action.add_argument("--half", action="store_true", help="store kernels as float16: half the size, rounded")
    action.add_argument("--output", type=path, help="folder or file; by default your models")
    action.add_argument("--overwrite", action="store_true", help="take the place of another file of the same version")
    action.set_defaults(act=_run)


def _run(args: argparse.Namespace) -> int:
    from Med3DCore.models.monai.importing import import_monai

    package, weights = import_monai(args.source, args.name, args.version, args.licence, args.title)
    if args.output is None:
        target = Catalogue().save(package, weights, args.half, args.overwrite)
    else:
        target = save_package(package, weights, args.output, args.half)
    channels = len(package.stages[0].preprocessing["intensity"]["channels"])
    print(f"{channels} image(s) of a patient; {len(package.labels)} labels: {', '.join(package.label_names)}")
    print(f"Saved as {target}")
    return 0
