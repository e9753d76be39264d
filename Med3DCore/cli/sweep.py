"""``med3d sweep``: many tasks, starts and seeds, and the table of them."""

from __future__ import annotations

import argparse
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.cli.arguments import count, path
from Med3DCore.cli.console import ProgressBar, say
from Med3DCore.cli.stopping import stopped_gently
from Med3DCore.cli.task import add_encoder_option
from Med3DCore.cli.training import add_training_options
from Med3DCore.errors import Cancelled, ModelError, SettingError
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from Med3DCore.benchmarks.sweep.engine import Engine
    from Med3DCore.benchmarks.sweep.outcome import Outcome
    from Med3DCore.benchmarks.sweep.plan import SweepPlan
    from Med3DCore.training.comparison.init import Init

_NEEDS_DASK = "pip install distributed cryptography"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "sweep",
        help="train tasks from several starts and seeds, and make the table of them",
        description="Train and evaluate every task from every start with every seed, each in a folder of its own as "
        "`med3d task train` makes it, and write a table of starts against tasks. Called again, it does what is not "
        "done yet; tasks, starts and seeds may be added later. A run that fails is named and stops no other.",
    )
    add = parser.add_argument
    add("tasks", nargs="+", metavar="TASK", help="names of tasks, or files of your own")
    add(
        "--data",
        nargs="+",
        required=True,
        metavar="FOLDER",
        help="a folder in which each task's data are in a folder of the task's name; or NAME=FOLDER for single tasks",
    )
    add(
        "--starts",
        nargs="+",
        default=["scratch"],
        metavar="[NAME=]MODEL",
        help="scratch (default), and pre-trained encoders as for `med3d task train --init`, such as vdt=vdt.med3d.zip "
        "or i3d:resnet18.pth. The first is what the others are compared with",
    )
    add("--seeds", type=count, nargs="+", metavar="SEED", default=[1, 2, 3], help="seeds (default: 1 2 3)")
    add("-o", "--output", type=path, required=True, metavar="FOLDER", help="folder for the runs and the table")
    add("--steps", nargs="+", default=[], metavar="N", help="steps of all trainings, or NAME=N for single tasks")
    add_encoder_option(parser)
    add(
        "--figure",
        action="append",
        default=[],
        metavar="NAME",
        help="judge the tasks that have it by this figure, such as 'dice liver' (default: the mean over labels or "
        "rates of the first measure, or the AUC); may be given several times",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "-j", "--jobs", type=count, default=1, metavar="N", help="trainings at once on this computer (default 1)"
    )
    where.add_argument(
        "--cluster", metavar="ADDRESS", default="", help="do the trainings on the workers of this Dask scheduler"
    )
    add("--threads", type=count, metavar="N", help="of each training on a CPU (default: the cores shared by the jobs)")
    add_training_options(parser, finish=False)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what is not done yet, and write the table.

    Raises:
        Med3DError: Tasks, data or settings cannot be used.
    """
    from Med3DCore.drawing.figure import require_matplotlib
    from Med3DCore.system.distributed import Ranks

    require_matplotlib()
    if Ranks.here().world > 1:
        raise SettingError("A sweep is not for torchrun; say --jobs for several trainings at once.")
    engine, plan = _engine(args), _plan(args)
    bar = ProgressBar(args.quiet)
    try:
        with stopped_gently() as is_stopped:
            return _sweep(plan, engine, args, bar, is_stopped)
    except Cancelled:
        say("med3d: Stopped; all that was done is saved. Run the same command to go on.")
        return 128 + signal.SIGINT
    finally:
        bar.close()


def _engine(args: argparse.Namespace) -> Engine:
    from Med3DCore.benchmarks.sweep.engine import one_after_the_other

    if not args.cluster and args.jobs < 2:
        return one_after_the_other
    try:
        from Med3DCore.benchmarks.sweep.side_by_side import SideBySide
    except ImportError:
        raise SettingError(
            f"Several trainings at once need Dask: {_NEEDS_DASK}, or leave --jobs and --cluster out; without, they are "
            "done one after the other, with the same results."
        ) from None
    return SideBySide(args.jobs, args.cluster, say)


def _plan(args: argparse.Namespace) -> SweepPlan:
    from Med3DCore.benchmarks.sweep.choices import chosen_tasks, data_folders, steps_by_task
    from Med3DCore.benchmarks.sweep.plan import SweepPlan, Training
    from Med3DCore.training.comparison.init import Init

    tasks = chosen_tasks(args.tasks)
    training = Training(
        dict(args.encoder), args.minutes, args.device, args.no_cache, args.workers, args.threads or None
    )
    return SweepPlan(
        tasks,
        data_folders(args.data, tasks),
        tuple(map(Init.parse, args.starts)),
        tuple(args.seeds),
        steps_by_task(args.steps, tasks),
        training,
    )


def _sweep(
    plan: SweepPlan, engine: Engine, args: argparse.Namespace, bar: ProgressBar, is_stopped: Callable[[], bool]
) -> int:
    from Med3DCore.benchmarks.sweep.engine import Shares
    from Med3DCore.benchmarks.sweep.kept_plan import keep_plan
    from Med3DCore.benchmarks.sweep.outcome import read_outcome
    from Med3DCore.benchmarks.sweep.report import failures, markdown_table, write_table
    from Med3DCore.benchmarks.sweep.table import make_table
    from Med3DCore.cli.sweep_run import do_run
    from Med3DCore.system.folders import make_private, require_makeable
    from Med3DCore.system.locks import locked

    folder: Path = args.output
    require_makeable(folder)
    warnings = _looked_at(plan, Progress(bar, is_stopped))
    make_private(folder)
    with locked(folder / ".lock", f"Another sweep is running in {folder}", "wait until it ends, or stop it"):
        keep_plan(plan, folder)
        runs = plan.runs(folder)
        outcomes = [outcome for outcome in map(read_outcome, runs) if outcome is not None]
        done = {outcome.run.name for outcome in outcomes}
        waiting = [run for run in runs if run.name not in done]
        bar.line(f"{len(runs)} runs, {len(done)} of them done before")
        progress = Progress(bar, is_stopped)
        if waiting:
            with progress.stage("sweep", share=1.0):
                shares = Shares(progress, len(runs), len(done))
                for outcome in engine(waiting, do_run, shares):
                    outcomes.append(outcome)
                    table = make_table(plan, outcomes, args.figure, warnings)
                    bar.line(f"{len(outcomes)} of {len(runs)}: {_told(outcome, args.figure)}")
                    write_table(table, folder)
        table = make_table(plan, outcomes, args.figure, warnings)
        files = write_table(table, folder)
    bar.close()
    print(markdown_table(table))
    failed = failures(table)
    for sentence in failed:
        say(f"Failed: {sentence}")
    print("wrote", *files)
    return 1 if failed else 0


def _looked_at(plan: SweepPlan, progress: Progress) -> list[str]:
    """Read what the data sets hold, so that a wrong folder is told before a night, and say which start has seen whom.

    Raises:
        Med3DError: A data set is not as its task says, or has too few patients.
    """
    from Med3DCore.benchmarks.data import read_divided
    from Med3DCore.benchmarks.networks import task_recipe
    from Med3DCore.training.comparison.leaks import find_leaks
    from Med3DCore.training.segmentation.checks import check_stage

    sentences, models = [], _models(plan)
    for number, (name, task) in enumerate(plan.tasks.items()):
        with progress.stage(f"read the data of {name}"):
            progress.update(number / len(plan.tasks))
            for stage in task_recipe(task, plan.steps.get(name), encoder=plan.training.encoder).stages:
                check_stage(stage)
            test = read_divided(task, plan.data[name], progress).test
            if models:
                images = {case.image: case for case in test}
                sentences += [f"{name}: {sentence}" for sentence in find_leaks(models, [*images.values()])]
    for sentence in [*progress.warnings, *sentences]:
        say(f"Warning: {sentence}")
    return sentences


def _models(plan: SweepPlan) -> list[Init]:
    """The starts that may say what they learned from; a broken one is told by its runs."""
    from Med3DCore.models import Catalogue
    from Med3DCore.training.learning.initialization import SCRATCH, is_checkpoint, split_way

    models = []
    for start in plan.starts:
        if start.source != SCRATCH and not is_checkpoint(start.source):
            with suppress(ModelError):
                Catalogue().find(split_way(start.source)[1])
                models.append(start)
    return models


def _told(outcome: Outcome, wanted: Sequence[str]) -> str:
    from Med3DCore.benchmarks.sweep.table import main_figure

    if outcome.failed:
        return f"{outcome.run.name} failed: {outcome.failed}"
    figure = main_figure(list(outcome.figures), wanted)
    return f"{outcome.run.name}: {figure} {outcome.figures[figure]}, trained {outcome.seconds:.0f} s"
