"""``med3d train``: train the stages of a recipe and make a model package of them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from Med3DCore.cli.arguments import path
from Med3DCore.cli.console import ProgressBar
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from Med3DCore.models.package import ModelPackage
    from Med3DCore.training.recipe import StageRecipe


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
    parser.add_argument(
        "--init", metavar="MODEL", help="start from the weights of this model's stages of the same name"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train what is not trained yet, then publish. Called again, it goes on where it was stopped."""
    from Med3DCore.inference.device import choose_device
    from Med3DCore.models import Catalogue
    from Med3DCore.training.cases import read_cases
    from Med3DCore.training.publish import publish
    from Med3DCore.training.recipe import read_recipe
    from Med3DCore.training.trainer import train_stage

    recipe, cases, device = read_recipe(args.recipe), read_cases(args.data), choose_device(args.device)
    parent = Catalogue().find(args.init) if args.init else None
    stages = [recipe.stage(args.stage)] if args.stage else recipe.stages
    weights = {}
    for stage in stages:
        bar = ProgressBar(args.quiet)
        try:
            folder, initial = args.output / stage.stage.name, _initial(parent, stage)
            trained = train_stage(stage, cases, folder, recipe.seed, device, Progress(bar), initial)
        finally:
            bar.close()
        weights[stage.stage.name] = trained.weights
        print(f"{stage.stage.name}: {trained.steps} steps, {_scores(trained.validation)}")
    if not args.stage:
        print(f"wrote {publish(recipe, weights, cases, args.output, device)}")
    return 0


def _initial(parent: ModelPackage | None, recipe: StageRecipe) -> dict | None:
    """Weights of the parent's stage with the same name and network; None where it has no such stage."""
    name = recipe.stage.name
    same = [stage for stage in parent.stages if stage.name == name] if parent else []
    if not same or same[0].network != recipe.stage.network:
        print(f"{name}: from random weights")
        return None
    print(f"{name}: from the weights of {parent.reference}")
    return parent.read_weights(name)


def _scores(validation: dict[str, dict[str, float]]) -> str:
    known = {label: list(cases.values()) for label, cases in validation.items() if cases}
    return (
        ", ".join(f"{label} Dice {sum(v) / len(v):.3f} (n = {len(v)})" for label, v in known.items())
        or "no held-out case"
    )
