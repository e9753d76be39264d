"""``med3d evaluate PRED REF``: how good are segmentations, as a table and as JSON."""

from __future__ import annotations

import argparse
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from Med3DCore.cli.arguments import path
from Med3DCore.cli.console import say
from Med3DCore.errors import DataError, Med3DError, SettingError
from Med3DCore.evaluation import (
    CaseFiles,
    CaseReport,
    LabelPair,
    evaluate,
    format_table,
    labels_present,
    match_files,
    pair_by_name,
    summarise,
    to_json,
)
from Med3DCore.io import read_label_map
from Med3DCore.io.files import may_be_cropped
from Med3DCore.io.write import check_output, written_beside
from Med3DCore.progress import Progress


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register ``evaluate``."""
    parser = subparsers.add_parser(
        "evaluate",
        help="compare segmentations with their references",
        description="Compare a segmentation with its reference, or all of a folder with those of the same name, or of "
        "the same DICOM series, in another: Dice, VOE, RVD, ASSD, RMSD, HD95, MSSD (Hausdorff), NSD and volumes of "
        "each label.",
        usage="%(prog)s PRED REF [--labels NAME=VALUE ...] [--ignore VALUE] [--nsd-tolerance MM] [--json FILE]",
    )
    parser.add_argument("prediction", metavar="PRED", type=path, help="label map, or folder of label maps")
    parser.add_argument("reference", metavar="REF", type=path, help="label map of the truth, or folder")
    parser.add_argument(
        "--labels",
        nargs="+",
        metavar="NAME=VALUE",
        help="labels to compare: NAME=VALUE, NAME=PRED:REF if the values differ, values joined by + (liver=1:1+2), or "
        "only NAME for files that name their segments; every label present in REF by default",
    )
    parser.add_argument("--ignore", type=int, metavar="VALUE", help="value of REF that means unknown, such as 255")
    parser.add_argument(
        "--nsd-tolerance",
        type=float,
        default=2.0,
        metavar="MM",
        help="distance NSD tolerates (default: %(default)s mm)",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="also write all numbers to FILE; - prints them instead of the table"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print, write.

    Returns:
        0, or 1 if a case of a folder could not be evaluated.

    Raises:
        Med3DError: Nothing could be evaluated, or the JSON file cannot be written.
    """
    if args.json not in (None, "-"):
        check_output(Path(args.json), (".json",))
    labels = [_parse_label(text) for text in args.labels] if args.labels else None
    cases, unmatched = match_files(args.prediction, args.reference)
    for sentence in unmatched:
        say(f"Warning: {sentence}")
    reports, failed = _evaluate_cases(cases, labels, args)
    results = {
        "settings": {"nsd_tolerance_mm": args.nsd_tolerance, "ignore_value": args.ignore},
        "cases": [report.to_dict() for report in reports],
        "summary": {name: summary.to_dict() for name, summary in summarise(reports).items()},
        "failed": failed,
        "unmatched": unmatched,
    }
    if args.json == "-":
        print(to_json(results), end="")
        return 1 if failed else 0
    print(format_table(reports))
    if args.json is not None:
        with written_beside(Path(args.json), ".json") as temporary:
            temporary.write_text(to_json(results), encoding="utf-8")
    return 1 if failed else 0


def _evaluate_cases(
    cases: list[CaseFiles], labels: list[LabelPair | str] | None, args: argparse.Namespace
) -> tuple[list[CaseReport], dict[str, str]]:
    """Reports, and for each case of a folder that failed the reason. A single case raises its error."""
    everywhere = _labels_everywhere(cases, args.ignore) if labels is None and len(cases) > 1 else []
    reports, failed = [], {}
    for number, files in enumerate(cases, start=1):
        if len(cases) > 1:
            say(f"{number}/{len(cases)} {files.case}")
        try:
            report = _evaluate_case(files, labels, everywhere, args)
        except Med3DError as error:
            if len(cases) == 1:
                raise
            failed[files.case] = str(error)
            say(f"{files.case} was not evaluated: {error}")
            continue
        reports.append(report)
        for warning in report.warnings:
            say(f"Warning: {warning}")
    if not reports:
        raise DataError(
            f"None of the {len(cases)} cases could be evaluated; the first one: {next(iter(failed.values()))}"
        )
    return reports, failed


def _evaluate_case(
    files: CaseFiles, labels: list[LabelPair | str] | None, everywhere: list[str], args: argparse.Namespace
) -> CaseReport:
    progress = Progress()
    prediction = read_label_map(files.prediction, progress=progress, grid=files.grid)
    reference = read_label_map(files.reference, progress=progress, grid=files.grid)
    pairs = [pair_by_name(name, prediction, reference) for name in everywhere] or labels
    # Slicer saves a segmentation cropped to its segments; other images have the grid of the scan, or are a part of it.
    cropped = may_be_cropped(files.reference)
    report = evaluate(prediction, reference, pairs, args.nsd_tolerance, args.ignore, files.case, cropped)
    return replace(report, warnings=(*progress.warnings, *report.warnings))


def _labels_everywhere(cases: list[CaseFiles], ignore_value: int | None) -> list[str]:
    """Labels present in any reference: one that is absent here and there must not be predicted there either."""
    names: dict[str, None] = {}
    for files in cases:
        with suppress(Med3DError):  # said when the case is evaluated
            reference = read_label_map(files.reference, progress=Progress(), grid=files.grid)
            names.update(dict.fromkeys(labels_present(reference, ignore_value)))
    return list(names)


def _parse_label(text: str) -> LabelPair | str:
    """``NAME``, ``NAME=VALUE`` or ``NAME=PRED:REF``; values may be joined by +."""
    match = re.fullmatch(r"([^=]+)(?:=(\d+(?:\+\d+)*)(?::(\d+(?:\+\d+)*))?)?", text)
    if match is None:
        raise SettingError(f"--labels {text} is not understood; write NAME=VALUE, such as liver=1, or NAME=PRED:REF.")
    name, prediction, reference = match.groups()
    if prediction is None:
        return name
    values = [tuple(int(value) for value in side.split("+")) for side in (prediction, reference or prediction)]
    if 0 in (*values[0], *values[1]):
        raise SettingError(f"--labels {text}: 0 is the background; a label's value is 1 or more.")
    return LabelPair(name, *values)
