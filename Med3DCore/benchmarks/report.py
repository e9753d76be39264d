"""The report of a run: its figures beside published ones, as Markdown, and a picture."""

from __future__ import annotations

from pathlib import Path

from Med3DCore.benchmarks.results import Results
from Med3DCore.benchmarks.task import BenchmarkTask
from Med3DCore.drawing.benchmark_chart import draw_benchmark
from Med3DCore.evaluation.classification import Estimate
from Med3DCore.io import written_beside

REPORT, PICTURE = "report.md", "report.png"


def report_text(task: BenchmarkTask, results: Results) -> str:
    """Markdown: figures with intervals, beside those that others published, which are marked as theirs."""
    theirs = {
        name: [f"{e.value:.3f} [{n}]" for n, e in enumerate(task.published, start=1) if e.figure == name]
        for name in results.figures
    }
    lines = [
        f"# {task.title}",
        "",
        task.about,
        "",
        f"Model {results.model}, on {results.patients} held-out patients. Intervals: the middle 95 % of what patients "
        "drawn with replacement give.",
        "",
        "| figure | ours (interval) | n | theirs |",
        "|---|---|---|---|",
    ]
    for name, figure in results.figures.items():
        shown = _shown(name, figure)
        lines.append(f"| {name.replace('_', ' ')} | {shown} | {figure.n} | {', '.join(theirs[name])} |")
    lines += [
        f"\n[{number}] Theirs, not measured here: {each.by}. Other patients and other settings, so no comparison."
        for number, each in enumerate(task.published, start=1)
    ]
    lines += [f"\n{note}" for note in results.notes]
    lines += ["", f"Data: {task.source['data']}, {task.source['page']}; licence: {task.source['licence']}."]
    if "paper" in task.source:
        lines.append(f"Paper: {task.source['paper']}.")
    return "\n".join(lines) + "\n"


def write_report(task: BenchmarkTask, results: Results, folder: Path) -> tuple[Path, Path]:
    """Write ``report.md`` and ``report.png``.

    Raises:
        SettingError: matplotlib is not installed.
        OutputError: A file cannot be written.
    """
    draw_benchmark(task.title, results.boxes, results.curves, results.axes, folder / PICTURE)
    with written_beside(folder / REPORT) as temporary:
        temporary.write_text(report_text(task, results), encoding="utf-8")
    return folder / REPORT, folder / PICTURE


def _shown(name: str, figure: Estimate) -> str:
    """Shares with three decimals, seconds and the like with one."""
    if figure.value is None or (figure.value <= 1 and "_mm" not in name):
        return str(figure)
    interval = "" if figure.low is None or figure.high is None else f" ({figure.low:.1f} to {figure.high:.1f})"
    return f"{figure.value:.1f}{interval}"
