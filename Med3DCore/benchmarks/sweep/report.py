"""The table of a sweep as Markdown, CSV, JSON and a picture."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import Med3DCore
from Med3DCore.benchmarks.sweep.outcome import Outcome
from Med3DCore.benchmarks.sweep.table import RULE, Cell, Column, Table
from Med3DCore.drawing.sweep_chart import draw_sweep
from Med3DCore.evaluation.output import to_json
from Med3DCore.io import written_beside
from Med3DCore.training.comparison.measures import Difference

MARKDOWN, TABLE, RUNS, JSON, PICTURE = "sweep.md", "sweep.csv", "runs.csv", "sweep.json", "sweep.png"


def write_table(table: Table, folder: Path) -> tuple[Path, ...]:
    """Write all five files; the picture once there is something to draw.

    Returns:
        What was written.

    Raises:
        SettingError: matplotlib is not installed.
        OutputError: A file cannot be written.
    """
    panels = {
        f"{column.task}\n{_shown(column.figure)}": {cell.start: cell.scores for cell in column.cells}
        for column in table.columns
        if column.figure
    }
    if panels:
        draw_sweep(panels, folder / PICTURE)
    texts = {MARKDOWN: as_markdown(table), TABLE: _csv(_cells(table)), RUNS: _csv(_runs(table))}
    texts[JSON] = to_json(to_dict(table))
    for name, text in texts.items():
        with written_beside(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return tuple(folder / name for name in (*texts, *([PICTURE] if panels else [])))


def as_markdown(table: Table) -> str:
    """The whole report."""
    seeds = ", ".join(map(str, table.plan.seeds))
    parts = [
        "# Starts against tasks",
        f"Mean ± standard deviation over seeds (here {seeds}; how many in brackets), each measured on the task's test "
        "patients.",
        markdown_table(table),
        RULE,
    ]
    if len(table.plan.seeds) == 1:
        parts.append("One seed has no spread: whether a difference is more than chance is not known.")
    if len(table.plan.starts) > 1:
        parts += [f"Difference to {table.plan.starts[0].name}, with its 95 % interval:", _gains(table)]
    if lines := [f"- {sentence}" for sentence in failures(table)]:
        parts.append("\n".join(["Runs that failed, and are tried again by the next call:", "", *lines]))
    if table.to_go:
        parts.append(
            f"**Not finished:** {table.to_go} of {len(table.outcomes) + table.to_go} runs are still to be done."
        )
    parts += [f"**Beware:** {sentence}" for sentence in table.warnings]
    if any(column.figure for column in table.columns):
        parts.append(f"![Scores of each seed]({PICTURE})")
    return "\n\n".join(parts) + "\n"


def markdown_table(table: Table) -> str:
    """Rows are starts, columns tasks."""
    rows = [["start", *(_head(column) for column in table.columns)]]
    for number, start in enumerate(table.plan.starts):
        rows.append([start.name, *(_cell(column, column.cells[number]) for column in table.columns)])
    return _markdown(rows)


def failures(table: Table) -> list[str]:
    """A sentence for each task and start whose runs failed for one reason."""
    seeds: dict[tuple[str, str, str], list[str]] = {}
    for outcome in _in_order(table):
        if outcome.failed:
            seeds.setdefault((outcome.run.task, outcome.run.start, outcome.failed), []).append(str(outcome.run.seed))
    return [
        f"{task}, {start}, seed{'s' * (len(own) > 1)} {', '.join(own)}: {sentence}"
        for (task, start, sentence), own in seeds.items()
    ]


def _gains(table: Table) -> str:
    rows = [["start", *(_head(column) for column in table.columns)]]
    for number, start in enumerate(table.plan.starts[1:], start=1):
        gains = [column.gain(column.cells[number], column.cells[0]) for column in table.columns]
        rows.append([start.name, *map(_gain, gains)])
    return _markdown(rows)


def _markdown(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _head(column: Column) -> str:
    if not column.figure:
        return column.task
    low = ", low is good" if column.sign < 0 else ""
    return f"{column.task}: {_shown(column.figure)}{low} ({column.patients} patients)"


def _shown(figure: str) -> str:
    return figure.replace("_", " ")


def _cell(column: Column, cell: Cell) -> str:
    total = len(cell.scores) + len(cell.failed) + len(cell.to_go)
    found = cell.spread
    if found is None:
        return "failed" if cell.failed else "to do"
    text = _number(found.mean) + (f" ± {_number(found.sd)}" if found.sd is not None else "")
    bold = "**" if cell is column.best else ""
    missing = f" of {total}" if len(cell.scores) < total else ""
    return f"{bold}{text}{bold} ({found.n}{missing})"


def _gain(gain: Difference | None) -> str:
    if gain is None:
        return "-"
    if gain.low is None or gain.high is None:
        return f"{gain.mean:+.3f}"
    return f"{gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _cells(table: Table) -> list[dict[str, Any]]:
    """A row for each task and start, plain values."""
    rows = []
    for column in table.columns:
        for cell in column.cells:
            found, gain = cell.spread, column.gain(cell, column.cells[0])
            rows.append(
                {
                    "task": column.task,
                    "figure": column.figure,
                    "patients": column.patients,
                    "start": cell.start,
                    "seeds": len(cell.scores),
                    "failed": len(cell.failed),
                    "to_go": len(cell.to_go),
                    **{key: getattr(found, key, None) for key in ("mean", "sd", "min", "max")},
                    "is_best": cell is column.best,
                    "compared_with": table.plan.starts[0].name,
                    "difference": gain and gain.mean,
                    "difference_low": gain and gain.low,
                    "difference_high": gain and gain.high,
                }
            )
    return rows


def _runs(table: Table) -> list[dict[str, Any]]:
    """A row for each run that ended; the columns of the figures are those of all tasks."""
    return [
        {
            "task": outcome.run.task,
            "start": outcome.run.start,
            "seed": outcome.run.seed,
            "seconds": outcome.seconds,
            "failed": outcome.failed or "",
            **{name: figure.value for name, figure in outcome.figures.items()},
        }
        for outcome in _in_order(table)
    ]


def to_dict(table: Table) -> dict[str, Any]:
    """Plain values for JSON: the plan, the table, every run with all its figures."""
    plan = table.plan
    return {
        "version": Med3DCore.__version__,
        "starts": {start.name: start.source for start in plan.starts},
        "seeds": list(plan.seeds),
        "steps": {name: plan.steps.get(name) for name in plan.tasks},
        "training": asdict(plan.training),
        "rule": RULE,
        "warnings": list(table.warnings),
        "to_go": table.to_go,
        "table": _cells(table),
        "runs": [
            {
                **{key: getattr(outcome.run, key) for key in ("task", "start", "seed")},
                "patients": outcome.patients,
                "seconds": outcome.seconds,
                "failed": outcome.failed,
                "figures": {name: asdict(figure) for name, figure in outcome.figures.items()},
            }
            for outcome in _in_order(table)
        ],
    }


def _in_order(table: Table) -> list[Outcome]:
    """The outcomes as the plan has them, in whatever order they ended."""
    tasks, starts = list(table.plan.tasks), [start.name for start in table.plan.starts]
    return sorted(
        table.outcomes,
        key=lambda each: (tasks.index(each.run.task), starts.index(each.run.start), each.run.seed),
    )


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
