"""``med3d models import-nnunet``: make a model of a results folder of nnU-Net."""

from __future__ import annotations

import argparse

from Med3DCore.cli.arguments import path
from Med3DCore.cli.new_model import add_imported_model, saved


def add_action(actions: argparse._SubParsersAction) -> None:
    """Register the action."""
    action = actions.add_parser("import-nnunet", help="make a model of a trained model of nnU-Net v2")
    action.add_argument(
        "source", type=path, help="the results folder with plans.json and fold_0, one above it, or an exported zip"
    )
    action.add_argument("--folds", nargs="+", metavar="N", help="such as 0 1, or all; several answer together")
    action.add_argument("--configuration", help="such as 3d_fullres, if there are several")
    add_imported_model(action, "the data set's")
    action.set_defaults(act=_run)


def _run(args: argparse.Namespace) -> int:
    from Med3DCore.models.nnunet.importing import import_nnunet

    given = (args.folds, args.configuration, args.name, args.version, args.licence, args.title)
    package, weights = import_nnunet(args.source, *given)
    target = saved(package, weights, args, args.half)
    found = package.provenance["imported"]
    print(f"{found['configuration']}, fold {', '.join(found['folds'])}; needs {', '.join(found['channels'])}.")
    print(f"{len(package.labels)} labels: {', '.join(package.label_names)}")
    print(f"Saved as {target}")
    return 0
