"""``med3d fine-tune``: teach a model from a handful of labelled cases."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from Med3DCore.cli.arguments import path
from Med3DCore.cli.console import say
from Med3DCore.cli.tensorboard import add_tensorboard_option
from Med3DCore.cli.training import minutes, on_every_rank, resumable
from Med3DCore.errors import DataError, Med3DError, SettingError

if TYPE_CHECKING:
    from Med3DCore.progress import Progress
    from Med3DCore.system.distributed import Ranks
    from Med3DCore.training.cases.case import Case
    from Med3DCore.training.fine_tuning.run_folder import TuneSettings
    from Med3DCore.training.fine_tuning.tuned import FineTuned


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "fine-tune",
        help="teach a model from a few labelled cases",
        description="Make a new model from one that exists and a few labelled cases, check it on a case that it did "
        "not learn from, and add it to your models. Called again with the same folder, it goes on where it stopped.",
    )
    add = parser.add_argument
    add("model", help="name or file of the model to start from, or of an encoder")
    add("cases", type=path, help="labelled cases in any form that med3d dataset knows")
    add("-o", "--output", type=path, required=True, help="folder of this training")
    add("--minutes", type=minutes, default=10.0, help="time for all of it (default %(default)g)")
    add("--quality", default="balanced", help="fast, balanced or thorough: how long it learns at most, given the time")
    add("--label", action="append", metavar="NAME", help="learn only this label; may be repeated (default: all)")
    add(
        "--hold-out", action="append", metavar="CASE", help="check on this case; may be repeated (default: one of five)"
    )
    add("--title", default="", help="of the new model")
    add("--seed", type=int, default=0, help="of all that is random (default %(default)s)")
    add("--set", action="append", metavar="NAME=VALUE", help="another setting, such as learning_rate=0.001")
    add("--finish", action="store_true", help="learn no more: make a model of what was learned before it was stopped")
    add("--restart", action="store_true", help="begin anew: what was trained in the folder before is deleted")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    add("--json", action="store_true", help="print the result as JSON")
    add_tensorboard_option(parser)
    add("--quiet", action="store_true", help="no progress")
    parser.set_defaults(run=on_every_rank(run))


def run(args: argparse.Namespace, ranks: Ranks) -> int:
    """Fine-tune, or go on with it, and install the new model.

    Raises:
        Med3DError: As :func:`Med3DCore.training.fine_tuning.fine_tune.fine_tune`.
    """
    from Med3DCore.inference.device import choose_device
    from Med3DCore.models.catalogue import Catalogue
    from Med3DCore.training.fine_tuning.fine_tune import continue_tuning, fine_tune
    from Med3DCore.training.fine_tuning.install_tuned import install_tuned
    from Med3DCore.training.fine_tuning.run_folder import is_run

    if args.restart and args.finish:
        raise SettingError("--restart begins anew and --finish makes a model of what there is; leave one of them out.")
    device = choose_device(ranks.device(args.device))
    with ranks.joined(device.torch_device):
        is_begun = ranks.from_main(lambda: args.finish or (not args.restart and is_run(args.output)))
    with resumable(args) as progress:
        if is_begun:
            if ranks.is_main and not args.finish:
                _say_differences(args)
            tuned = continue_tuning(args.output, progress, args.finish)
        else:
            settings = _tune_settings(args)
            parent, cases = Catalogue().find(args.model), _cases(args, progress)
            tuned = fine_tune(parent, cases, args.output, settings, progress, restart=args.restart)
    if not ranks.is_main:
        return 0
    installed = install_tuned(tuned.package)
    print(json.dumps(_values(tuned, str(installed)), indent=2) if args.json else _text(tuned, str(installed)))
    return 0


def _tune_settings(args: argparse.Namespace) -> TuneSettings:
    from Med3DCore.training.fine_tuning.run_folder import TuneSettings

    return TuneSettings(args.title, args.minutes, args.quality, args.seed, args.device, _settings(args.set or []))


def _say_differences(args: argparse.Namespace) -> None:
    """A training goes on as it was begun; whoever asks for something else now must hear that."""
    from Med3DCore.progress import Progress
    from Med3DCore.training.fine_tuning.run_folder import RunFolder

    try:
        cases = _cases(args, Progress())
    except Med3DError:  # they were copied, so they need not be there any more
        cases = None
    if said := RunFolder(args.output).differences(_tune_settings(args), args.model, cases):
        say(
            f"Warning: the training in {args.output} goes on as it was begun; not used is what you ask for now: "
            f"{'; '.join(said)}. Begin anew with --restart, or in another folder with -o."
        )


def _cases(args: argparse.Namespace, progress: Progress) -> list[Case]:
    """The data set's cases, with the labels and the use that the arguments say."""
    from Med3DCore.training.data_sets import read_data_set
    from Med3DCore.training.fine_tuning.held_out import AUTOMATIC

    cases = read_data_set(args.cases, progress=progress)
    names = [case.name for case in cases]
    known = {name for case in cases for name in case.annotated}
    for name in args.label or []:
        if name not in known:
            raise DataError(f"No case of {args.cases} has the label '{name}'; it has {', '.join(sorted(known))}.")
    for name in args.hold_out or []:
        if name not in names:
            raise DataError(f"{args.cases} has no case '{name}'; it has {', '.join(names)}.")
    decided = args.hold_out or any(case.split == "validation" for case in cases)
    chosen, left_out = [], []
    for case in cases:
        wanted, absent = (
            tuple(name for name in names if not args.label or name in args.label) for names in (case.drawn, case.absent)
        )
        split = ("validation" if case.name in args.hold_out else "training") if args.hold_out else case.split
        if wanted or absent:
            chosen.append(replace(case, annotated=wanted, split=split if decided else AUTOMATIC))
        else:
            left_out.append(case.name)
    if left_out:
        say(f"Warning: {', '.join(left_out)} show none of the labels and teach nothing; they are left out.")
    return chosen


def _settings(texts: list[str]) -> dict[str, Any]:
    settings = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingError(f"'{text}' is no setting; write it as NAME=VALUE.")
        try:
            settings[name.strip()] = json.loads(value)
        except ValueError:
            settings[name.strip()] = value.strip()
    return settings


def _values(tuned: FineTuned, installed: str) -> dict:
    return {
        "model": installed,
        "before": tuned.before,
        "after": tuned.after,
        "false_positive_ml": tuned.false_positive_ml,
        "kept": tuned.kept,
        "way": tuned.way,
        "steps": tuned.steps,
        "warnings": list(tuned.warnings),
        "curve": tuned.curve and str(tuned.curve),
    }


def _text(tuned: FineTuned, installed: str) -> str:
    lines = [f"{'label':16} {'held-out case':24} {'before':>7} {'after':>7}"] if tuned.after else []
    for label, cases in tuned.after.items():
        for case, dice in cases.items():
            before = tuned.before.get(label, {}).get(case)
            lines.append(f"{label:16} {case:24} {'-' if before is None else f'{before:.3f}':>7} {dice:7.3f}")
    for label, cases in tuned.false_positive_ml["after"].items():
        for case, volume in cases.items():
            before = tuned.false_positive_ml["before"].get(label, {}).get(case)
            then = "" if before is None else f" ({before:.1f} mL before)"
            lines.append(f"{case} shows no {label}, and {volume:.1f} mL of it are found{then}.")
    lines += [f"Note: {sentence}" for sentence in tuned.warnings]
    if tuned.way < 1:
        lines.append("Its weights lie halfway between the old model and what was learned, so that less is forgotten.")
    return "\n".join([*lines, f"{tuned.steps} steps; the new model is {installed}"])
