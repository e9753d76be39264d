"""``med3d train``: train the stages of a recipe and make a model package of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.cli.arguments import path
from Med3DCore.cli.console import say
from Med3DCore.cli.training import (
    add_fold_options,
    add_training_options,
    case_cache,
    mean_scores,
    on_every_rank,
    resumable,
    train_as_asked,
    warn_of,
)
from Med3DCore.errors import DataError, SettingError
from Med3DCore.models.kinds import CLASSIFYING, DETECTING, SCAN_CLASSIFYING
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from Med3DCore.progress import MetricCallback
    from Med3DCore.system.distributed import Ranks
    from Med3DCore.training.cases.case import Case
    from Med3DCore.training.learning.recipe import Recipe, StageRecipe

_ELSEWHERE = {
    CLASSIFYING: "{recipe} is of a classifier of points, which learns from a table of them: "
    "med3d classify train CSV --recipe {recipe}.",
    SCAN_CLASSIFYING: "{recipe} is of a classifier of whole scans, which learns in a task: med3d task train "
    "(docs/tasks.md).",
}
"""What other commands train, by the decoder's name."""


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
    parser.add_argument(
        "data", type=path, help="data set in any form that med3d dataset knows; of a detector in DeepLesion's"
    )
    parser.add_argument("-o", "--output", type=path, required=True, help="folder for checkpoints, logs and the model")
    parser.add_argument("--stage", help="train only this stage, and make no model")
    parser.add_argument(
        "--init",
        metavar="MODEL",
        help="start from a pre-trained encoder (a model, or a file of MedicalNet, Kinetics, Merlin or Astra; "
        "with i3d:, acs: or 2.5d: before it, of a 2D ResNet), from the stages of "
        "the same name of another model, or from scratch (default)",
    )
    parser.add_argument(
        "--name-cases",
        action="store_true",
        help="name cases and patients in the model as the data set does; for public data (default: by numbers)",
    )
    add_fold_options(parser)
    add_training_options(parser)
    parser.set_defaults(run=on_every_rank(run))


def run(args: argparse.Namespace, ranks: Ranks) -> int:
    """Train what is not trained yet, then publish. Called again, it goes on where it was stopped."""
    from Med3DCore.training.learning.recipe import read_recipe

    recipe = read_recipe(args.recipe)
    learned = recipe.stages[0].stage.network["decoder"].get("name")
    if learned in _ELSEWHERE:
        raise SettingError(_ELSEWHERE[learned].format(recipe=args.recipe))
    if learned == DETECTING:
        from Med3DCore.cli.train_detector import key_slices, train_detector

        return train_detector(recipe, lambda: key_slices(args), args, ranks)
    return train_segmentation(recipe, lambda: _cases(args), args, ranks)


def train_segmentation(
    recipe: Recipe, read_cases: Callable[[], list[Case]], args: argparse.Namespace, ranks: Ranks
) -> int:
    """Train the stages of a recipe, then publish.

    Args:
        recipe: The recipe.
        read_cases: Reads the data set, with its split; called once the recipe is found to be whole.
        args: Where to, from what, how long; the options of ``med3d train`` besides recipe and data.
        ranks: This process and those beside it.

    Raises:
        Med3DError: Recipe or data cannot be used, or as :func:`Med3DCore.training.learning.loop.train`.
    """
    from Med3DCore.inference.device import choose_device
    from Med3DCore.training.cases.case import training_spacings
    from Med3DCore.training.learning.checkpoint import LAST
    from Med3DCore.training.learning.curve import draw_curve
    from Med3DCore.training.learning.initialization import find_starts
    from Med3DCore.training.segmentation.publish import publish
    from Med3DCore.training.segmentation.trainer import stage_task

    folders = {name: args.output / name for name in _chosen(recipe, args)}
    _check(recipe.at([(1.0, 1.0, 1.0)]), folders, args)  # whatever spacing a rule will give
    device = choose_device(ranks.device(args.device))
    cases = read_cases()
    recipe = recipe.at(training_spacings(cases))
    stages = _chosen(recipe, args)
    cache = case_cache(args)
    found = find_starts(args.init, [stage.stage for stage in stages.values()])
    warn_of(*found)
    starts = dict(zip(stages, found, strict=True))
    with resumable(args, *folders.values()) as progress:  # of all stages, before the first of them takes a night
        tasks = {
            name: stage_task(stage, cases, recipe.seed, starts[name].weights, cache, progress)
            for name, stage in stages.items()
        }
    weights = {}
    for name, stage in stages.items():
        begun = (folders[name] / LAST).is_file()
        source = starts[name].source
        print(f"{name}: {f'goes on where it was stopped; it started from {source}' if begun else f'from {source}'}")
        with resumable(args, *folders.values()) as progress:
            if ranks.is_main and not hasattr(args, "follow"):  # of a sweep nobody looks at each curve
                progress.on_metric = _with_curve(progress.on_metric, args.output, folders)
            task, seed = tasks.pop(name), recipe.seed
            trained = train_as_asked(args, task, stage.training, folders[name], seed, device, progress, len(stages))
        weights[name] = trained.weights
        validation = trained.validation
        print(
            f"{name}: {trained.steps} steps, {mean_scores(validation.details, validation.false_positive_ml, 'Dice ')}"
        )
    if ranks.is_main:
        draw_curve(args.output, folders)
        if not args.stage:
            made = publish(recipe, weights, cases, args.output, device, starts=starts, name_cases=args.name_cases)
            print(f"wrote {made}")
    return 0


def _with_curve(tell: MetricCallback | None, output: Path, folders: Mapping[str, Path]) -> MetricCallback:
    """What a training tells, and its curve drawn anew after each validation."""
    from Med3DCore.training.learning.checkpoint import LOG
    from Med3DCore.training.learning.curve import draw_curve

    def told(stage: str, step: int, loss: float | None, scores: dict | None, false_positive_ml: dict | None) -> None:
        if tell is not None:
            tell(stage, step, loss, scores, false_positive_ml)
        if scores is not None:
            draw_curve(output, {name: folder for name, folder in folders.items() if (folder / LOG).is_file()})

    return told


def _chosen(recipe: Recipe, args: argparse.Namespace) -> dict[str, StageRecipe]:
    """The stages to train, by name."""
    stages = [recipe.stage(args.stage)] if args.stage else recipe.stages
    return {stage.stage.name: stage for stage in stages}


def _cases(args: argparse.Namespace) -> list[Case]:
    """The data set, split as wanted."""
    from Med3DCore.training.cases.splits import apply_split
    from Med3DCore.training.data_sets import read_data_set

    reading = Progress()
    cases = read_data_set(args.data, progress=reading)
    for sentence in reading.warnings:
        say(f"Warning: {sentence}")
    return apply_split(cases, args.splits, args.fold) if args.splits else cases


def _check(recipe: Recipe, folders: Mapping[str, Path], args: argparse.Namespace) -> None:
    """Refuse what could not become a model in the end, before any case is read."""
    from Med3DCore.training.learning.checkpoint import LAST, require_no_training
    from Med3DCore.training.segmentation.checks import check_stage
    from Med3DCore.training.segmentation.publish import describe_recipe

    for stage in _chosen(recipe, args).values():
        check_stage(stage)
    if not args.stage:
        describe_recipe(recipe)
    for name, folder in folders.items():
        require_no_training(folder)
        if args.finish and not (folder / LAST).is_file():
            raise DataError(
                f"The stage '{name}' was not begun in {folder.parent}, so there is no whole model yet; run the command "
                "without --finish."
            )
