"""``med3d train``: train the stages of a recipe and make a model package of them."""

from __future__ import annotations

import argparse
import signal

from Med3DCore.cli.arguments import path
from Med3DCore.cli.console import ProgressBar, say
from Med3DCore.cli.stopping import stopped_gently
from Med3DCore.errors import Cancelled
from Med3DCore.progress import Progress


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "train",
        help="train a model from a recipe",
        description="Train the stages of a recipe and make a model of them; called again, it goes on where it stopped.",
    )
    parser.add_argument(
        "recipe", type=path, help="what to train: a JSON file such as Resources/Recipes/liver-lungs.json"
    )
    parser.add_argument("data", type=path, help="data set in any form that med3d dataset knows")
    parser.add_argument("-o", "--output", type=path, required=True, help="folder for checkpoints, logs and the model")
    parser.add_argument("--stage", help="train only this stage, and make no model")
    parser.add_argument(
        "--init",
        metavar="MODEL",
        help="start from a pre-trained encoder (a model, or a .pth file of MedicalNet or Kinetics), from the stages of "
        "the same name of another model, or from scratch (default)",
    )
    parser.add_argument(
        "--splits", type=path, metavar="FILE", help="train and check on a fold of this file (see --fold)"
    )
    parser.add_argument("--fold", type=int, default=0, metavar="N", help="which fold, from 0 (default: %(default)s)")
    parser.add_argument("--no-cache", action="store_true", help="prepare the cases anew and keep them in memory")
    parser.add_argument("--minutes", type=float, help="stop learning after this time, for all stages together")
    parser.add_argument("--finish", action="store_true", help="learn no more: make a model of what was learned so far")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train what is not trained yet, then publish. Called again, it goes on where it was stopped."""
    from Med3DCore.inference.device import choose_device
    from Med3DCore.training.cache import CaseCache, cache_folder
    from Med3DCore.training.data_sets import read_data_set
    from Med3DCore.training.initialization import find_start
    from Med3DCore.training.publish import publish
    from Med3DCore.training.recipe import read_recipe
    from Med3DCore.training.splits import apply_split
    from Med3DCore.training.trainer import train_stage

    reading = Progress()
    recipe, cases = read_recipe(args.recipe), read_data_set(args.data, progress=reading)
    device = choose_device(args.device)
    for sentence in reading.warnings:
        say(f"Warning: {sentence}")
    if args.splits:
        cases = apply_split(cases, args.splits, args.fold)
    cache = None if args.no_cache else CaseCache(cache_folder())
    stages = [recipe.stage(args.stage)] if args.stage else recipe.stages
    starts = [find_start(args.init, stage.stage) for stage in stages]
    weights = {}
    for stage, start in zip(stages, starts, strict=True):
        print(f"{stage.stage.name}: from {start.source}")
        bar, folder = ProgressBar(args.quiet), args.output / stage.stage.name
        try:
            with stopped_gently() as is_stopped:
                trained = train_stage(
                    stage,
                    cases,
                    folder,
                    recipe.seed,
                    device,
                    Progress(bar, is_stopped),
                    start.weights,
                    args.minutes and args.minutes / len(stages),
                    finish=args.finish,
                    cache=cache,
                )
        except Cancelled as stop:
            bar.close()
            say(f"med3d: {stop} Run the same command to go on, or with --finish to use it as it is.")
            return 128 + signal.SIGINT
        finally:
            bar.close()
        weights[stage.stage.name] = trained.weights
        print(f"{stage.stage.name}: {trained.steps} steps, {_scores(trained.validation.details)}")
    if not args.stage:
        print(f"wrote {publish(recipe, weights, cases, args.output, device)}")
    return 0


def _scores(validation: dict[str, dict[str, float]]) -> str:
    known = {label: list(cases.values()) for label, cases in validation.items() if cases}
    return (
        ", ".join(f"{label} Dice {sum(v) / len(v):.3f} (n = {len(v)})" for label, v in known.items())
        or "no held-out case"
    )
