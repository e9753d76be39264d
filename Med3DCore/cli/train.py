"""``med3d train``: train the stages of a recipe and make a model package of them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from Med3DCore.cli.arguments import path
from Med3DCore.cli.console import say
from Med3DCore.cli.training import add_fold_options, add_training_options, on_every_rank, resumable
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from Med3DCore.training.distributed import Ranks


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
    add_fold_options(parser)
    add_training_options(parser)
    parser.set_defaults(run=on_every_rank(run))


def run(args: argparse.Namespace, ranks: Ranks) -> int:
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
    device = choose_device(ranks.device(args.device))
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
        with resumable(args) as progress:
            trained = train_stage(
                stage,
                cases,
                args.output / stage.stage.name,
                recipe.seed,
                device,
                progress,
                start.weights,
                args.minutes and args.minutes / len(stages),
                finish=args.finish,
                cache=cache,
                workers=args.workers,
            )
        weights[stage.stage.name] = trained.weights
        print(f"{stage.stage.name}: {trained.steps} steps, {_scores(trained.validation.details)}")
    if not args.stage and ranks.is_main:
        print(f"wrote {publish(recipe, weights, cases, args.output, device)}")
    return 0


def _scores(validation: dict[str, dict[str, float]]) -> str:
    known = {label: list(cases.values()) for label, cases in validation.items() if cases}
    return (
        ", ".join(f"{label} Dice {sum(v) / len(v):.3f} (n = {len(v)})" for label, v in known.items())
        or "no held-out case"
    )
