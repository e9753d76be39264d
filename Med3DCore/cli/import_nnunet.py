"""``med3d models import-nnunet``: make a model of a results folder of nnU-Net."""

from __future__ import annotations

import argparse

from Med3DCore.cli.arguments import path
from Med3DCore.models import Catalogue, save_package


def add_action(actions: argparse._SubParsersAction) -> None:
    """Register the action."""
    action = actions.add_parser("import-nnunet", help="make a model of a trained model of nnU-Net v2")
    action.add_argument(
        "source", type=path, help="the results folder with plans.json and fold_0, one above it, or an exported zip"
    )
    action.add_argument("--folds", nargs="+", metavar="N", help="such as 0 1, or all; several answer together")
    action.add_argument("--configuration", help="such as 3d_fullres, if there are several")
    action.add_argument("--name", help="name of the model; by default the data set's")
    action.add_argument("--version", default="1.0.0", help="three numbers (default: %(default)s)")
    action.add_argument("--title", default="", help="name shown to people")
    action.add_argument("--licence", default="not stated", help="licence of the weights (default: %(default)s)")
    action.add_argument("--half", action="store_true", help="store kernels as float16: half the size, rounded")
    action.add_argument("--output", type=path, help="folder or file; by default your models")
    action.add_argument("--overwrite", action="store_true", help="take the place of another file of the same version")
    action.set_defaults(act=_run)


def _run(args: argparse.Namespace) -> int:
    from Med3DCore.models.nnunet.importing import import_nnunet

    given = (args.folds, args.configuration, args.name, args.version, args.licence, args.title)
    package, weights = import_nnunet(args.source, *given)
    if args.output is None:
        target = Catalogue().save(package, weights, args.half, args.overwrite)
    else:
        target = save_package(package, weights, args.output, args.half)
    found = package.provenance["imported"]
    print(f"{found['configuration']}, fold {', '.join(found['folds'])}; needs {', '.join(found['channels'])}.")
    print(f"{len(package.labels)} labels: {', '.join(package.label_names)}")
    print(f"Saved as {target}")
    return 0
