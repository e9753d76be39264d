"""A report as text for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isfinite, isnan

from Med3DCore.evaluation.report import MEASURES, CaseReport
from Med3DCore.evaluation.summary import LabelSummary, summarise

# Precision and sensitivity are only in the JSON.
_COLUMNS = (
    *("dice", "jaccard", "voe", "rvd"),
    *("assd_mm", "rmsd_mm", "hd95_mm", "mssd_mm", "nsd"),
    *("volume_ml", "reference_volume_ml"),
)
_STATISTICS = ("mean", "sd", "min", "max", "n", "undefined")


def to_json(values: dict) -> str:
    """Strict JSON (RFC 8259): nan and inf, which it does not know, become null."""
    return json.dumps(_finite(values), indent=2, allow_nan=False) + "\n"


def format_table(reports: Sequence[CaseReport]) -> str:
    """A plain-text table: a row for each case and label; for several cases also each label's summary.

    Undefined values are shown as ``-`` (nan) and ``inf``.
    """
    titles = [MEASURES[measure].title for measure in _COLUMNS]
    rows = [["case", "label", *titles]]
    for report in reports:
        for name, label in report.labels.items():
            rows.append([report.case, name, *(_number(m, label.measures[m]) for m in _COLUMNS)])
    summaries = summarise(reports) if len(reports) > 1 else {}
    for name, summary in summaries.items():
        rows += [[], *([statistic, name, *_statistic(summary, statistic)] for statistic in _STATISTICS)]
    lines = _align(rows)
    if summaries:
        lines += ["", *(_remark(name, summary) for name, summary in summaries.items())]
    return "\n".join(lines)


def _statistic(summary: LabelSummary, statistic: str) -> list[str]:
    values = [getattr(summary.measures[measure], statistic) for measure in _COLUMNS]
    if statistic in ("n", "undefined"):
        return [str(value) for value in values]
    return [_number(measure, value) for measure, value in zip(_COLUMNS, values, strict=True)]


def _remark(name: str, summary: LabelSummary) -> str:
    worst: dict[str, list[str]] = {}
    for measure in _COLUMNS:
        case = summary.measures[measure].worst_case
        if case is not None:
            worst.setdefault(case, []).append(MEASURES[measure].title.removesuffix(" mm"))
    named = "; ".join(f"{case} ({', '.join(titles)})" for case, titles in worst.items())
    return (
        f"{name}: {summary.cases} cases, {summary.empty} of them empty in both; "
        f"global Dice {_number('dice', summary.global_dice)}; worst: {named or '-'}"
    )


def _number(measure: str, value: float) -> str:
    return "-" if isnan(value) else f"{value:.{MEASURES[measure].decimals}f}"


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns two spaces apart: the first two to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows if row) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        ).rstrip()
        for row in rows
    ]


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value
