"""``med3d pretrain``: co-train an encoder on several data sets at once."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from Med3DCore.cli.arguments import path
from Med3DCore.cli.console import say
from Med3DCore.cli.training import (
    add_training_options,
    case_cache,
    mean_scores,
    on_every_rank,
    resumable,
    train_as_asked,
)
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from Med3DCore.system.distributed import Ranks


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "pretrain",
        help="train an encoder on several data sets at once (Med3D)",
        description="Train an encoder that several data sets share, each with a decoder of its own, and make a model "
        "package of it, from which `med3d train --init` starts; called again, it goes on where it stopped.",
    )
    add = parser.add_argument
    add("recipe", type=path, help="what to train: a JSON file such as Resources/Recipes/3dseg8.json")
    add("data", type=path, nargs="+", help="data sets, or a folder that holds the folders which the recipe names")
    add("-o", "--output", type=path, required=True, help="folder for checkpoint, log and encoder")
    add_training_options(parser)
    parser.set_defaults(run=on_every_rank(run))


def run(args: argparse.Namespace, ranks: Ranks) -> int:
    """Co-train, then write the encoder. Called again, it goes on where it was stopped.

    Raises:
        Med3DError: Recipe or data cannot be used, or as :func:`Med3DCore.training.learning.loop.train`.
    """
    from Med3DCore.inference.device import choose_device
    from Med3DCore.training.co_training.co_training import CoTraining, prepare_domains, publish_encoder
    from Med3DCore.training.co_training.domains import gather_cases, read_co_training
    from Med3DCore.training.learning.curve import draw_curve
    from Med3DCore.training.segmentation.checks import check_stage

    recipe, device, reading = read_co_training(args.recipe), choose_device(ranks.device(args.device)), Progress()
    cases = gather_cases(recipe, args.data, reading)
    for sentence in reading.warnings:
        say(f"Warning: {sentence}")
    stages = {domain.name: domain.stage(cases[domain.name]) for domain in recipe.domains}
    for stage in stages.values():
        check_stage(stage)
    cache = case_cache(args)
    with resumable(args, args.output) as progress:
        task = CoTraining(recipe, stages, prepare_domains(stages, cases, cache, progress))
        trained = train_as_asked(args, task, recipe.training, args.output, recipe.seed, device, progress)
    for label, scores in trained.validation.details.items():
        wrong = trained.validation.false_positive_ml.get(label)
        print(f"{label}: {mean_scores({'Dice': scores}, {'found': wrong} if wrong else None)}")
    if ranks.is_main:
        draw_curve(args.output, {task.name: args.output})
        print(f"wrote {publish_encoder(recipe, stages, cases, trained, args.output)}")
    return 0
