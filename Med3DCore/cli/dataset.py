"""``med3d dataset``: check a data set before training, divide its patients, and see to the prepared cases on disk."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from Med3DCore.cli.arguments import path
from Med3DCore.cli.console import ProgressBar, say
from Med3DCore.errors import OutputError, SettingError
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from Med3DCore.training.cases.case import Case, Values
    from Med3DCore.training.data_sets.check_case import Look
    from Med3DCore.volume import LabelMap, Volume

_FORMS = (
    "folder of image and label pairs, folder of the Medical Segmentation Decathlon or of nnU-Net (raw), CSV table, "
    "or Med3D's dataset.json"
)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register ``dataset`` and its actions."""
    parser = subparsers.add_parser(
        "dataset",
        help="check a data set for training, divide its patients",
        description="Check a data set before training, divide its patients, and see to the prepared cases on disk.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    action = actions.add_parser("check", help="find what would break a training, and draw every case")
    _add_data(action)
    action.add_argument(
        "-o", "--output", type=path, default=Path("dataset-check"), metavar="FOLDER",
        help="for check.json and a picture of each case (default: %(default)s)",
    )  # fmt: skip
    action.add_argument("--no-pictures", action="store_true", help="draw nothing, which is faster")
    action.add_argument("--quiet", action="store_true", help="no progress")
    action.set_defaults(act=_check)

    action = actions.add_parser("split", help="divide the patients into folds for training and validation")
    _add_data(action)
    action.add_argument("--folds", type=int, default=5, metavar="N", help="how many (default: %(default)s)")
    action.add_argument("--seed", type=int, default=0, metavar="N", help="same seed, same folds (default: %(default)s)")
    action.add_argument("-o", "--output", type=path, required=True, metavar="FILE", help="such as splits.json")
    action.add_argument("--quiet", action="store_true", help="no progress")
    action.set_defaults(act=_split)

    action = actions.add_parser("copy-header", help="give a label that lost its header the place of its image")
    action.add_argument("image", type=path, help="the image that the label was drawn on; a file or a DICOM folder")
    action.add_argument("label", type=path, help="the label file; stays as it is")
    action.add_argument(
        "-o", "--output", type=path, metavar="FILE", help="the corrected copy (default: beside it, ..._placed...)"
    )
    action.set_defaults(act=_copy_header)

    action = actions.add_parser("cache", help="how much disk the prepared cases of earlier trainings take")
    action.add_argument("--folder", type=path, help="where they are, if not in the usual place")
    action.add_argument("--clear", action="store_true", help="delete them; the next training makes them again")
    action.set_defaults(act=_cache)
    parser.set_defaults(run=run)


def _add_data(action: argparse.ArgumentParser) -> None:
    action.add_argument("data", type=path, metavar="DATA", help=_FORMS)
    action.add_argument(
        "--labels", nargs="+", metavar="NAME=VALUE", help="what label values mean, where the data set does not say it"
    )


def run(args: argparse.Namespace) -> int:
    """Do what the arguments say.

    Returns:
        0, or 2 if ``check`` found something that would break a training.

    Raises:
        Med3DError: The data set cannot be read at all, or a result not written.
    """
    return args.act(args)


def _check(args: argparse.Namespace) -> int:
    from Med3DCore.io import written_beside
    from Med3DCore.training.data_sets import list_cases
    from Med3DCore.training.data_sets.check import check_data_set
    from Med3DCore.training.data_sets.check_report import check_to_dict, format_check

    bar = ProgressBar(args.quiet)
    progress = Progress(bar)
    cases = list_cases(args.data, values_of(args.labels), progress)
    _make_folder(args.output)
    try:
        check = check_data_set(cases, progress.warnings, None if args.no_pictures else _drawer(args.output), progress)
    finally:
        bar.close()
    with written_beside(args.output / "check.json") as temporary:
        temporary.write_text(json.dumps(check_to_dict(check), indent=1) + "\n", encoding="utf-8")
    print(format_check(check))
    print(f"Wrote {args.output / 'check.json'}" + ("" if args.no_pictures else f" and {len(cases)} pictures"))
    return 2 if check.breaks() else 0


def _split(args: argparse.Namespace) -> int:
    from Med3DCore.io import check_output
    from Med3DCore.training.cases.splits import labels_shown, make_folds, write_splits
    from Med3DCore.training.data_sets import read_data_set

    check_output(args.output, (".json",))
    bar = ProgressBar(args.quiet)
    progress = Progress(bar)
    cases = read_data_set(args.data, values_of(args.labels), progress)
    try:
        shown = labels_shown(cases, progress)
    finally:
        bar.close()
    for sentence in progress.warnings:
        say(f"Warning: {sentence}")
    folds = make_folds(cases, shown, args.folds, args.seed)
    write_splits(folds, args.output)
    patients = {case.name: case.patient for case in cases}
    for number, fold in enumerate(folds):
        held_out = fold["val"]
        counts = {
            label: sum(label in shown[name] for name in held_out) for label in sorted(set().union(*shown.values()))
        }
        text = ", ".join(f"{label} {count}" for label, count in counts.items())
        print(f"fold {number}: {len({patients[name] for name in held_out})} patients, {len(held_out)} cases ({text})")
    print(f"Wrote {args.output}; train with --splits {args.output} --fold 0")
    return 0


def _copy_header(args: argparse.Namespace) -> int:
    from Med3DCore.io import check_output, find_scan, read_label_map, write_label_map
    from Med3DCore.io.files import ending_of
    from Med3DCore.training.data_sets.lost_header import with_header_of

    # A header that is lost is what this is for, so warnings of it say nothing new.
    label = with_header_of(find_scan(args.image).geometry, read_label_map(args.label, progress=Progress()))
    ending = ".seg.nrrd" if args.label.name.lower().endswith(".seg.nrrd") else ending_of(args.label)
    target = args.output or args.label.with_name(f"{args.label.name[: -len(ending)]}_placed{ending}")
    check_output(target)
    if args.output is None and target.exists():
        raise OutputError(f"{target} exists already; give another name with -o.")
    write_label_map(label, target)
    print(f"Wrote {target}; put it in the place of {args.label}, then look at it with med3d dataset check.")
    return 0


def _cache(args: argparse.Namespace) -> int:
    from Med3DCore.training.cases.cache import CaseCache, cache_folder

    cache = CaseCache(args.folder or cache_folder())
    count, size = cache.usage()
    if args.clear:
        cache.clear()
    print(f"{'Deleted ' if args.clear else ''}{count} prepared cases, {size / 1e9:.2f} GB, in {cache.folder}")
    return 0


def values_of(texts: list[str] | None) -> dict[str, Values] | None:
    """The option ``--labels``.

    Raises:
        SettingError: It is not understood.
    """
    from Med3DCore.training.data_sets.names import parse_values

    try:
        return parse_values(" ".join(texts)) if texts else None
    except ValueError as error:
        raise SettingError(f"--labels: {error}.") from None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made: {error.strerror}; choose another.") from None


def _drawer(folder: Path) -> Look:
    """Draws a case into a folder."""
    from Med3DCore.drawing.figure import require_matplotlib
    from Med3DCore.drawing.picture import write_picture
    from Med3DCore.io.label_names import label_for
    from Med3DCore.training.cases.label import label_volumes
    from Med3DCore.volume import LabelMap

    require_matplotlib()

    def draw(case: Case, volume: Volume, label: LabelMap) -> None:
        numbers = np.zeros(label.array.shape, np.uint8)
        # The largest first, so that a tumour is drawn over the liver that it is a part of.
        sizes = {name: size for name, size in label_volumes(case, label).items() if size}
        names = sorted(sizes, key=lambda name: -sizes[name])
        for number, name in enumerate(names, start=1):
            numbers[case.inside(label, name)] = number
        labels = tuple(label_for(name, position) for position, name in enumerate(names))
        picture = folder / (re.sub(r"[^\w.-]+", "_", case.name) + ".png")
        write_picture(_in_window(volume), LabelMap(numbers, volume.geometry, case.name, labels), picture)

    return draw


def _in_window(volume: Volume) -> Volume:
    """The volume with values that a picture's CT window shows; an MR is scaled to it by its percentiles."""
    from Med3DCore.preprocessing.hounsfield import looks_like_ct

    if looks_like_ct(volume.array):
        return volume
    low, high = np.percentile(volume.array.ravel()[:: max(1, volume.array.size // 500_000)], (1, 99))
    scaled = (volume.array.astype(np.float32) - low) * (400 / max(high - low, 1e-6)) - 160
    return volume.with_array(scaled)
