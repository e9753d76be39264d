"""``med3d train``: train the stages of a recipe and make a model package of them."""

from __future__ import annotations

import argparse

from Med3DCore.cli.arguments import path
from Med3DCore.cli.console import ProgressBar
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
    parser.add_argument("data", type=path, help="data set description (dataset.json)")
    parser.add_argument("-o", "--output", type=path, required=True, help="folder for checkpoints, logs and the model")
    parser.add_argument("--stage", help="train only this stage, and make no model")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train what is not trained yet, then publish. Called again, it goes on where it was stopped."""
    from Med3DCore.inference.device import choose_device
    from Med3DCore.training.cases import read_cases
    from Med3DCore.training.publish import publish
    from Med3DCore.training.recipe import read_recipe
    from Med3DCore.training.trainer import train_stage

    recipe, cases, device = read_recipe(args.recipe), read_cases(args.data), choose_device(args.device)
    stages = [recipe.stage(args.stage)] if args.stage else recipe.stages
    weights = {}
    for stage in stages:
        bar = ProgressBar(args.quiet)
        try:
            trained = train_stage(stage, cases, args.output / stage.stage.name, recipe.seed, device, Progress(bar))
        finally:
            bar.close()
        weights[stage.stage.name] = trained.weights
        print(f"{stage.stage.name}: {trained.steps} steps, {_scores(trained.validation)}")
    if not args.stage:
        print(f"wrote {publish(recipe, weights, cases, args.output, device)}")
    return 0


def _scores(validation: dict[str, dict[str, float]]) -> str:
    known = {label: list(cases.values()) for label, cases in validation.items() if cases}
    return (
        ", ".join(f"{label} Dice {sum(v) / len(v):.3f} (n = {len(v)})" for label, v in known.items())
        or "no held-out case"
    )
