"""Put comparisons of one task together, such as two recipes: the report and picture of med3d compare over all.

python Testing/benchmarks/merge_comparisons.py OUT runs/a/compare.json runs/b/compare.json=SUFFIX

A suffix is added to the names of the starts of its comparison.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from Med3DCore.training.comparison.comparison import Comparison
from Med3DCore.training.comparison.init import Init
from Med3DCore.training.comparison.outcome import Outcome
from Med3DCore.training.comparison.picture import draw
from Med3DCore.training.comparison.plan import Plan, Run
from Med3DCore.training.comparison.report import as_markdown


def read(path: Path, suffix: str) -> Comparison:
    """A comparison from its JSON, its starts renamed."""
    values = json.loads(path.read_text(encoding="utf-8"))
    plan = values["plan"]
    inits = tuple(Init(init["name"] + suffix, init["source"]) for init in plan.pop("inits"))
    others: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in plan.items()}
    plan = Plan(inits, **others)
    outcomes = []
    for entry in values["runs"]:
        run = Run(entry.pop("init") + suffix, entry.pop("rate"), entry.pop("seed"), entry.pop("share"))
        outcomes.append(Outcome(run, **{**entry, "curve": tuple(map(tuple, entry["curve"]))}))
    return Comparison(plan, tuple(outcomes), tuple(values["labels"]), tuple(values["held_out"]))


def merge(first: Comparison, second: Comparison) -> Comparison:
    """Both; they must have been measured on the same cases, with the same rates, seeds and parts."""
    plan = replace(first.plan, inits=first.plan.inits + second.plan.inits)
    if plan != replace(second.plan, inits=plan.inits) or first.held_out != second.held_out:
        sys.exit("These comparisons have other cases, rates, seeds or thresholds.")
    return replace(first, plan=plan, outcomes=first.outcomes + second.outcomes)


if __name__ == "__main__":
    output, *named = sys.argv[1:]
    comparisons = [read(Path(name), suffix) for name, _, suffix in (text.partition("=") for text in named)]
    merged = comparisons[0]
    for other in comparisons[1:]:
        merged = merge(merged, other)
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    draw(merged, folder / "compare.png")
    (folder / "compare.md").write_text(as_markdown(merged, "Comparisons together", "compare.png"), encoding="utf-8")
