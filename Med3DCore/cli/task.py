"""``med3d task``: the benchmarks of the field, each from one file: data, training, measures, report."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from Med3DCore.cli.arguments import count, path
from Med3DCore.cli.console import ProgressBar, say
from Med3DCore.cli.training import add_training_options, on_every_rank
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from Med3DCore.benchmarks.held_out import Divided
    from Med3DCore.benchmarks.results import Results
    from Med3DCore.benchmarks.task import BenchmarkTask
    from Med3DCore.system.distributed import Ranks


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register ``task`` and its actions."""
    parser = subparsers.add_parser(
        "task",
        help="train and measure on a benchmark of the field",
        description="A task is a file that says where a data set's files lie, what its labels are, what is trained and "
        "how it is judged. Some come with Med3D; your own is a file NAME.json, which takes the place of a name.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    action = actions.add_parser("list", help="all tasks that come with Med3D")
    action.add_argument("--json", action="store_true", help="print JSON for programs")
    action.set_defaults(act=_list)

    action = _with_name(actions.add_parser("describe", help="what a task asks for, and where its data set's files lie"))
    action.add_argument("--json", action="store_true", help="print the task's file, to make your own of it")
    action.set_defaults(act=_describe)

    action = _with_name(actions.add_parser("check", help="whether a data set is as a task says"))
    action.add_argument("data", type=path, help="folder into which the data set was unpacked")
    action.add_argument("--quiet", action="store_true", help="no progress")
    action.set_defaults(act=_check)

    action = _with_name(actions.add_parser("phantom", help="make a made-up data set in the same layout"))
    action.add_argument("-o", "--output", type=path, required=True, metavar="DATA", help="folder for it, empty or new")
    action.add_argument("--patients", type=count, metavar="N", help="how many (default: enough to learn something)")
    action.add_argument("--seed", type=count, default=0, help="the same seed gives the same patients (default 0)")
    action.add_argument("--quiet", action="store_true", help="no progress")
    action.set_defaults(act=_phantom)

    _add_train(_with_name(actions.add_parser("train", help="train on a task; called again, it goes on")))

    action = _with_name(actions.add_parser("evaluate", help="measure a run on the patients that it held out"))
    action.add_argument("run_folder", type=path, metavar="RUN", help="folder of `med3d task train`")
    action.add_argument("data", type=path, help="the data set that it was trained with")
    action.add_argument(
        "--maps", action="store_true", help="of whole scans that are classified: write where each answer was seen"
    )
    action.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    action.add_argument("--quiet", action="store_true", help="no progress")
    action.set_defaults(act=_evaluate)

    action = actions.add_parser("report", help="figures of a run beside published ones, and a picture")
    action.add_argument("run_folder", type=path, metavar="RUN", help="folder of `med3d task train`, evaluated")
    action.set_defaults(act=_report)

    parser.set_defaults(run=run)


def _with_name(action: argparse.ArgumentParser) -> argparse.ArgumentParser:
    action.add_argument("name", help="name of a task, or a file of your own")
    return action


def _add_train(action: argparse.ArgumentParser) -> None:
    add = action.add_argument
    add("data", type=path, help="folder into which the data set was unpacked")
    add("-o", "--output", type=path, required=True, metavar="RUN", help="folder for checkpoints, log and model")
    add(
        "--init",
        metavar="MODEL",
        help="start from a pre-trained encoder (a model, or a .pth file of MedicalNet or Kinetics; with i3d:, acs: or "
        "2.5d: before it, of a 2D ResNet) that fits the task's network, or from scratch (default)",
    )
    add("--steps", type=count, metavar="N", help="steps of the training (default: as the task's file says)")
    add_encoder_option(action)
    add("--seed", type=count, metavar="N", help="of weights and patches (default 1); who is held out stays")
    add_training_options(action)
    action.set_defaults(act=on_every_rank(train_task))


def run(args: argparse.Namespace) -> int:
    """Do what the arguments say.

    Raises:
        Med3DError: Task, data or run cannot be used.
    """
    return args.act(args)


def _list(args: argparse.Namespace) -> int:
    from Med3DCore.benchmarks.catalogue import known_tasks

    tasks = known_tasks()
    if args.json:
        print(json.dumps([{"name": task.name, "kind": task.kind, "title": task.title} for task in tasks], indent=1))
        return 0
    width = max(len(task.name) for task in tasks)
    for task in tasks:
        print(f"{task.name:{width}}  {task.title}")
    return 0


def _describe(args: argparse.Namespace) -> int:
    from Med3DCore.benchmarks.catalogue import find_task
    from Med3DCore.benchmarks.describe import description

    task = find_task(args.name)
    print(task.file.read_text(encoding="utf-8").rstrip() if args.json else description(task))
    return 0


def _check(args: argparse.Namespace) -> int:
    from Med3DCore.benchmarks.catalogue import find_task
    from Med3DCore.benchmarks.check import check_data

    task = find_task(args.name)
    bar = ProgressBar(args.quiet)
    try:
        lines, wrong = check_data(task, args.data, Progress(bar))
    finally:
        bar.close()
    print("\n".join(lines))
    for sentence in wrong:
        say(f"Wrong: {sentence}")
    print(f"{len(wrong)} case{'s' * (len(wrong) > 1)} cannot be used." if wrong else "Nothing is wrong with it.")
    return 1 if wrong else 0


def _phantom(args: argparse.Namespace) -> int:
    from Med3DCore.benchmarks.catalogue import find_task
    from Med3DCore.errors import SettingError
    from Med3DCore.phantom.layouts.make import write_layout

    task = find_task(args.name)
    if not task.phantom:
        raise SettingError(f"The task {task.name} has no made-up version.")
    bar = ProgressBar(args.quiet)
    try:
        made = write_layout(task.phantom, args.output, args.patients, args.seed, Progress(bar))
    finally:
        bar.close()
    print(f"{made} patients in {args.output}")
    return 0


def add_encoder_option(action: argparse.ArgumentParser) -> None:
    """Add the choice of another encoder than a task's file has, such as the one of published weights."""
    action.add_argument(
        "--encoder",
        nargs="+",
        type=_setting,
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="an encoder other than the task's, such as depth=50 width=64 shortcut=B for MedicalNet's ResNet-50",
    )


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise argparse.ArgumentTypeError(f"'{text}' is not such as depth=50")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def train_task(args: argparse.Namespace, ranks: Ranks) -> int:
    """Train on a task, or go on, and make a model; the options are those of ``med3d task train``.

    Raises:
        Med3DError: Task, data or start cannot be used, or as :func:`Med3DCore.training.learning.loop.train`.
    """
    from Med3DCore.benchmarks.catalogue import find_task
    from Med3DCore.benchmarks.networks import task_recipe
    from Med3DCore.benchmarks.run_folder import begin_run
    from Med3DCore.benchmarks.task import DETECTION, POINTS, VOLUMES
    from Med3DCore.cli.classify import train_classifier
    from Med3DCore.cli.classify_scan import train_scan_classifier
    from Med3DCore.cli.train import train_segmentation
    from Med3DCore.cli.train_detector import train_detector

    task = find_task(args.name)
    recipe = task_recipe(task, args.steps, args.seed, dict(args.encoder))
    args.stage, args.name_cases = None, False

    def teaching() -> list[Any]:
        divided = _divided(task, args.data)
        if ranks.is_main:
            begin_run(task, divided, args.output)
        return divided.teaching

    if task.kind == POINTS:
        first, second = recipe.stages[0].stage.labels
        return train_classifier(recipe, teaching, task.data.get("rule", task.name), args, ranks, (first, second))
    if task.kind == VOLUMES:
        return train_scan_classifier(recipe, teaching, args, ranks)
    train = train_detector if task.kind == DETECTION else train_segmentation
    return train(recipe, teaching, args, ranks)


def _divided(task: BenchmarkTask, folder: Path) -> Divided[Any]:
    from Med3DCore.benchmarks.data import read_divided

    reading = Progress()
    divided = read_divided(task, folder, reading)
    for sentence in reading.warnings:
        say(f"Warning: {sentence}")
    return divided


def _evaluate(args: argparse.Namespace) -> int:
    bar = ProgressBar(args.quiet)
    try:
        results, files = evaluate_run(args.name, args.run_folder, args.data, args.device, Progress(bar), args.maps)
    finally:
        bar.close()
    for name, figure in results.figures.items():
        print(f"{name}: {figure}")
    for note in results.notes:
        say(f"Warning: {note}")
    print("wrote", *files)
    return 0


def evaluate_run(
    name: str, run_folder: Path, data: Path, device: str, progress: Progress, maps: bool = False
) -> tuple[Results, tuple[Path, Path]]:
    """Measure a run on the patients whom it held out.

    Args:
        name: Of the task, or its file.
        run_folder: Of :func:`train_task`.
        data: The data set that it was trained with.
        device: Where to compute, as people write it.
        progress: Followed; may cancel.
        maps: Whether to write class activation maps, too.

    Returns:
        What was found, and the files that say it.

    Raises:
        Med3DError: Task, run or data cannot be used.
    """
    from Med3DCore.benchmarks.catalogue import find_task
    from Med3DCore.benchmarks.measure import measure
    from Med3DCore.benchmarks.results import write_results
    from Med3DCore.benchmarks.run_folder import EVALUATION, model_of_run, tested
    from Med3DCore.inference.device import choose_device

    task, model, folder = find_task(name), model_of_run(run_folder), run_folder / EVALUATION
    divided = _divided(task, data)
    cases = tested([*divided.teaching, *divided.test], run_folder)
    results = measure(task, model, cases, data, folder, choose_device(device), progress, maps)
    return results, write_results(results, folder)


def _report(args: argparse.Namespace) -> int:
    from Med3DCore.benchmarks.report import report_text, write_report
    from Med3DCore.benchmarks.results import read_results
    from Med3DCore.benchmarks.run_folder import EVALUATION, task_of_run

    task, results = task_of_run(args.run_folder), read_results(args.run_folder / EVALUATION)
    files = write_report(task, results, args.run_folder)
    print(report_text(task, results))
    print("wrote", *files)
    return 0
