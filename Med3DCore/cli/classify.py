"""``med3d classify``: train a classifier of lung nodules, and ask one about points of a scan, or about all of it."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import Med3DCore
from Med3DCore.cli.arguments import count, path
from Med3DCore.cli.classify_scan import add_scan
from Med3DCore.cli.console import ProgressBar, say
from Med3DCore.cli.training import (
    add_fold_options,
    add_training_options,
    on_every_rank,
)
from Med3DCore.errors import DataError
from Med3DCore.preprocessing.hounsfield import require_modality
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from Med3DCore.evaluation.classification import ClassificationReport
    from Med3DCore.inference.classify import Answer
    from Med3DCore.system.distributed import Ranks
    from Med3DCore.training.classification.nodules import Centre, Nodule
    from Med3DCore.training.learning.recipe import Recipe

_RECIPE = Path(Med3DCore.__file__).resolve().parent.parent / "Resources" / "Recipes" / "nodules.json"
_SPACES = ("LPS", "RAS")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register ``classify`` and its actions."""
    parser = subparsers.add_parser(
        "classify",
        help="tell what is at a point, such as benign from malignant nodules, or what a whole scan shows",
        description="Train a classifier of lung nodules, ask one about points of a scan, or another about all of it.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_train(actions.add_parser("train", help="train a classifier from a table of nodules"))
    _add_run(actions.add_parser("run", help="ask a classifier about points of a scan"))
    add_scan(actions.add_parser("scan", help="ask a classifier what a whole scan shows, and where"))
    parser.set_defaults(run=run)


def _add_train(action: argparse.ArgumentParser) -> None:
    add = action.add_argument
    add(
        "table", type=path, metavar="CSV", help="scan, x, y, z (mm) and label (0, 1) or ratings (1 to 5) of each nodule"
    )
    add("-o", "--output", type=path, required=True, help="folder for checkpoint, log and model")
    add("--recipe", type=path, default=_RECIPE, metavar="FILE", help=f"network and settings (default: {_RECIPE.name})")
    add(
        "--init",
        metavar="MODEL",
        help="start from a pre-trained encoder (a model, or a .pth file of MedicalNet or Kinetics; "
        "with i3d:, acs: or 2.5d: before it, of a 2D ResNet), from another "
        "classifier of the same network, or from scratch (default)",
    )
    add("--space", choices=_SPACES, default="LPS", help="of x, y, z without a column 'space' (default: %(default)s)")
    add(
        "--rule",
        choices=("med3d", "acs"),
        default="med3d",
        help="for ratings: 1 to 3 benign and 4, 5 malignant (med3d, default), or 3 left out (acs)",
    )
    add(
        "--folds",
        type=count,
        default=5,
        metavar="N",
        help="without --splits and a column 'split': divide the patients into so many folds and hold one out; 0 for "
        "none (default: %(default)s)",
    )
    add_fold_options(action)
    add_training_options(action)
    action.set_defaults(act=on_every_rank(_train))


def _add_run(action: argparse.ArgumentParser) -> None:
    add = action.add_argument
    add("model", help="name, name-version or file of a classifier")
    add("scan", type=path, help="image file or DICOM folder")
    where = action.add_mutually_exclusive_group(required=True)
    where.add_argument("--centres", type=path, metavar="CSV", help="table of points: x, y, z in mm, and name if wanted")
    where.add_argument("--centre", type=float, nargs=3, metavar=("X", "Y", "Z"), help="one point in mm")
    add("--space", choices=_SPACES, default="LPS", help="of x, y, z without a column 'space' (default: %(default)s)")
    add(
        "--prevalence",
        type=float,
        metavar="P",
        help="how common malignant nodules are where it is used, such as 0.05 (default: as in the model's training)",
    )
    add("-o", "--output", type=path, metavar="FILE", help="also write the answers: .json or .csv")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    add("--quiet", action="store_true", help="no progress")
    action.set_defaults(act=_run)


def run(args: argparse.Namespace) -> int:
    """Do what the arguments say.

    Raises:
        Med3DError: Table, recipe, model or scan cannot be used, or as :func:`Med3DCore.training.learning.loop.train`.
    """
    return args.act(args)


# -- train -------------------------------------------------------------------------------------------------------------


def _train(args: argparse.Namespace, ranks: Ranks) -> int:
    from Med3DCore.training.learning.recipe import read_recipe

    recipe = read_recipe(args.recipe)
    return train_classifier(recipe, lambda: _nodules(args, recipe.seed), args.rule, args, ranks)


def train_classifier(
    recipe: Recipe,
    read_points: Callable[[], list[Nodule]],
    rule: str,
    args: argparse.Namespace,
    ranks: Ranks,
    classes: tuple[str, str] = ("benign", "malignant"),
) -> int:
    """Train a classifier of points, then publish.

    Args:
        recipe: The recipe.
        read_points: Reads nodules or other points, with their split; called once the recipe is found to be whole.
        rule: How their classes came about, for the model's card.
        args: Where to, from what, how long; the options of ``med3d classify train`` besides table and recipe.
        ranks: This process and those beside it.
        classes: Names of both classes.

    Raises:
        Med3DError: Recipe or data cannot be used, or as :func:`Med3DCore.training.learning.loop.train`.
    """
    from Med3DCore.cli.train_blocks import train_blocks
    from Med3DCore.inference.device import choose_device
    from Med3DCore.training.classification.blocks import AROUND_POINT
    from Med3DCore.training.classification.classification import ClassificationTask, classifier_stage
    from Med3DCore.training.classification.publish_classifier import describe_classifier, publish_classifier
    from Med3DCore.training.learning.initialization import find_starts
    from Med3DCore.training.segmentation.checks import check_stage

    device = choose_device(ranks.device(args.device))
    stage = classifier_stage(recipe, classes)
    check_stage(stage)
    nodules = read_points()
    (start,) = find_starts(args.init, [stage.stage])
    package = describe_classifier(recipe, nodules, rule, start.source)
    print(f"{len(nodules)} points, {sum(n.split == 'validation' for n in nodules)} held out; from {start.source}")
    made = ClassificationTask
    task, trained = train_blocks(made, stage, nodules, AROUND_POINT, start, recipe.seed, device, args, ranks)
    if ranks.is_main:
        file, report = publish_classifier(package, task, trained.weights, args.output, device)
        print(f"{trained.steps} steps")
        print(_summary(report))
        print(f"wrote {file}")
    return 0


def _nodules(args: argparse.Namespace, seed: int) -> list[Nodule]:
    """The nodules of the table, each with its split."""
    from Med3DCore.training.cases.splits import apply_split, hold_out
    from Med3DCore.training.classification.nodules import read_nodules, require_both

    reading = Progress()
    nodules = read_nodules(args.table, args.rule, args.space, reading)
    for sentence in reading.warnings:
        say(f"Warning: {sentence}")
    if args.splits:
        nodules = apply_split(nodules, args.splits, args.fold)
    elif args.folds and not any(nodule.split == "validation" for nodule in nodules):
        kinds = {nodule.name: {nodule.kind} for nodule in nodules}
        nodules = hold_out(nodules, kinds, args.folds, args.fold, seed)
    require_both(nodules)
    return nodules


def _summary(report: ClassificationReport | None) -> str:
    if report is None:
        return "No nodule was held out, so nobody knows how good it is."
    lines = [
        f"{report.n} held-out points of {report.patients} patients, {report.positives} positive (95 % intervals):",
        f"accuracy {report.accuracy}; always the commoner answer: {report.majority:.3f}",
        f"AUC {report.auc}, sensitivity {report.sensitivity}, specificity {report.specificity}",
    ]
    return "\n".join([*lines, *report.warnings])


# -- run ---------------------------------------------------------------------------------------------------------------


def _run(args: argparse.Namespace) -> int:
    from Med3DCore.inference.classify import Classifier
    from Med3DCore.inference.device import choose_device
    from Med3DCore.io import check_output, read_volume
    from Med3DCore.models import Catalogue

    if args.output:
        check_output(args.output, (".json", ".csv"))
    package = Catalogue().find(args.model)
    classifier = Classifier(package, choose_device(args.device), args.prevalence)
    centres = _asked(args)
    bar = ProgressBar(args.quiet)
    progress = Progress(bar)
    try:
        with progress.stage("read scan", share=0.3):
            volume = read_volume(args.scan, progress=progress)
            # A piece of a scan around a nodule may hold neither air nor water: it is told, not refused.
            require_modality(volume, package.modality, package.reference, progress, not_ct=True)
        with progress.stage("look at the points", share=0.7):
            answers = classifier.classify(volume, [(centre.name, centre.point) for centre in centres], progress)
    finally:
        bar.close()
    for sentence in progress.warnings:
        say(f"Warning: {sentence}")
    classes = classifier.stage.labels
    for answer in answers:
        place = " ".join(f"{value:.1f}" for value in answer.centre)
        print(f"{answer.name}: {answer.label} ({classes[1]} {answer.probabilities[classes[1]]:.3f}) at {place} mm, LPS")
    if classifier.prevalence is not None:
        default = "" if args.prevalence else ", as in the model's training; state yours with --prevalence"
        print(f"Probabilities are of a prevalence of {100 * classifier.prevalence:g} % {classes[1]}{default}.")
    if args.output:
        _write(answers, package.reference, volume.name, classifier.prevalence, args.output)
    return 0


def _asked(args: argparse.Namespace) -> list[Centre]:
    """The points to look at; rows of a table that name another scan are left out."""
    from Med3DCore.training.classification.nodules import Centre, read_centres, to_lps

    if args.centre:
        return [Centre("nodule", to_lps(args.centre, args.space))]
    centres = read_centres(args.centres, args.space)
    own = [centre for centre in centres if centre.scan is None or centre.scan.name == args.scan.name]
    if not own:
        raise DataError(f"{args.centres} names no point in {args.scan.name}.")
    if len(own) < len(centres):
        say(f"Warning: {len(centres) - len(own)} points of {args.centres} are in other scans; they are left out.")
    return own


def _write(answers: Sequence[Answer], model: str, scan: str, prevalence: float | None, file: Path) -> None:
    from Med3DCore.io import written_beside

    rows = [
        {
            "name": a.name,
            **dict(zip("xyz", a.centre, strict=True)),
            "space": "LPS",
            "answer": a.label,
            **a.probabilities,
            "prevalence": prevalence,
        }
        for a in answers
    ]
    if file.suffix.lower() == ".json":
        text = json.dumps({"model": model, "scan": scan, "nodules": rows}, indent=1) + "\n"
    else:
        table = io.StringIO()
        writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text = table.getvalue()
    with written_beside(file) as temporary:
        temporary.write_text(text, encoding="utf-8")
