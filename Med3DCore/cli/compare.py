"""``med3d compare``: does another start of the training make the model better, or sooner good?"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.cli.arguments import count, path
from Med3DCore.cli.console import say
from Med3DCore.cli.training import (
    add_fold_options,
    add_training_options,
    case_cache,
    on_every_rank,
    resumable,
    warn_of,
)
from Med3DCore.errors import SettingError
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from Med3DCore.system.distributed import Ranks
    from Med3DCore.training.comparison.comparison import Comparison
    from Med3DCore.training.learning.recipe import Recipe, StageRecipe

_JSON, _MARKDOWN, _PICTURE = "compare.json", "compare.md", "compare.png"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "compare",
        help="compare starts of a training: pre-trained encoders, scratch, learning rates",
        description="Train a stage of a recipe from several starts, with every learning rate, seed and part of the "
        "training patients, and report which is better, which is there sooner, and whether that is more than chance. "
        "Called again, it goes on where it stopped; more starts, rates and seeds may be added later.",
    )
    add = parser.add_argument
    add("recipe", type=path, help="what to train: a JSON file such as Resources/Recipes/liver-lungs.json")
    add("data", type=path, help="data set in any form that med3d dataset knows, with held-out cases")
    add("-o", "--output", type=path, required=True, help="folder for the trainings and the report")
    add(
        "--init",
        action="append",
        metavar="MODEL[=NAME]",
        help="a start: scratch (default), a pre-trained encoder (a model, or a .pth file of MedicalNet or Kinetics; "
        "with i3d:, acs: or 2.5d: before it, of a 2D ResNet), "
        "or another model with the stage; give it several times. The first is what the others are compared with",
    )
    add("--stage", help="which stage of the recipe, if it has several")
    add("--rates", type=float, nargs="+", metavar="RATE", help="learning rates (default: the recipe's)")
    add(
        "--seeds",
        type=count,
        nargs="+",
        metavar="SEED",
        default=[1, 2, 3],
        help="seeds (default: 1 2 3; which start is sooner takes six)",
    )
    add(
        "--cases",
        type=float,
        nargs="+",
        metavar="PART",
        default=[],
        help="also train with these parts of the training patients, such as 0.2 0.5, at the rate that is best for a "
        "start with all of them",
    )
    add("--threshold", type=float, default=0.9, help="part of the best score to be reached soon (default %(default)s)")
    add("--steps", type=int, help="steps of each training (default: the recipe's)")
    add_fold_options(parser)
    add_training_options(parser, finish=False)
    parser.set_defaults(run=on_every_rank(run))


def run(args: argparse.Namespace, ranks: Ranks) -> int:
    """Train what is not trained yet, then report. Called again, it goes on where it was stopped.

    Raises:
        Med3DError: Plan, recipe, data or a start cannot be used, or as :func:`Med3DCore.training.learning.loop.train`.
    """
    from Med3DCore.drawing.figure import require_matplotlib
    from Med3DCore.inference.device import choose_device
    from Med3DCore.training.cases.case import training_spacings
    from Med3DCore.training.cases.splits import apply_split
    from Med3DCore.training.comparison.comparison import Comparison
    from Med3DCore.training.comparison.init import Init
    from Med3DCore.training.comparison.leaks import find_leaks
    from Med3DCore.training.comparison.plan import Plan
    from Med3DCore.training.comparison.run import find_starts, run_all
    from Med3DCore.training.data_sets import read_data_set
    from Med3DCore.training.learning.recipe import read_recipe

    require_matplotlib()
    stage = _stage(read_recipe(args.recipe), args)
    plan = Plan(
        tuple(map(Init.parse, args.init or ["scratch"])),
        tuple(args.rates or [stage.training.learning_rate]),
        tuple(args.seeds),
        tuple(args.cases),
        args.threshold,
        args.minutes,
    )
    starts, reading = find_starts(plan, stage), Progress()
    warn_of(*starts.values())
    cases = read_data_set(args.data, progress=reading)
    for sentence in reading.warnings:
        say(f"Warning: {sentence}")
    if args.splits:
        cases = apply_split(cases, args.splits, args.fold)
    stage = stage.at(training_spacings(cases))
    leaks = find_leaks(plan.inits, cases)
    for sentence in leaks:
        say(f"Warning: {sentence}")
    device, cache = choose_device(ranks.device(args.device)), case_cache(args)
    for name, start in starts.items():
        print(f"{name}: {start.source}")
    with resumable(args) as progress:
        outcomes = run_all(plan, stage, starts, cases, args.output, device, progress, cache, args.workers)
    held_out = tuple(case.name for case in cases if case.split == "validation")
    comparison = Comparison(plan, tuple(outcomes), stage.stage.labels, held_out, tuple(leaks))
    if ranks.is_main:
        _report(comparison, stage, args.output)
    return 0


def _stage(recipe: Recipe, args: argparse.Namespace) -> StageRecipe:
    names = [stage.stage.name for stage in recipe.stages]
    if args.stage is None and len(names) > 1:
        raise SettingError(f"The recipe has the stages {', '.join(names)}; say which to compare with --stage.")
    stage = recipe.stage(args.stage or names[0])
    if args.steps is None:
        return stage
    return replace(stage, training=replace(stage.training, steps=args.steps))


def _report(comparison: Comparison, stage: StageRecipe, folder: Path) -> None:
    """Show the tables and write them, the picture and the raw values."""
    from Med3DCore.evaluation.output import to_json
    from Med3DCore.io import written_beside
    from Med3DCore.training.comparison.picture import draw
    from Med3DCore.training.comparison.record import to_dict
    from Med3DCore.training.comparison.report import as_markdown, as_text, findings, notes, saving_table, table

    draw(comparison, folder / _PICTURE)
    title = f"Starts of the training of '{stage.stage.name}' compared"
    for name, text in (
        (_JSON, to_json({"recipe": asdict(stage), **to_dict(comparison)})),
        (_MARKDOWN, as_markdown(comparison, title, _PICTURE)),
    ):
        with written_beside(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    for rows in filter(None, (table(comparison), saving_table(comparison))):
        print(f"\n{as_text(rows)}")
    print()
    for sentence in findings(comparison):
        print(f"- {sentence}")
    print("\n" + "\n".join(notes(comparison)))
    print(f"Wrote {folder / _JSON}, {_MARKDOWN} and {_PICTURE}")
