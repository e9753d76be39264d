"""What the runs of a sweep's folder depend on, kept there, so that only what can be compared comes into one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from Med3DCore.benchmarks.sweep.plan import SweepPlan, located
from Med3DCore.errors import DataError, SettingError
from Med3DCore.io import written_beside
from Med3DCore.training.cases.cache_key import digest
from Med3DCore.training.learning.initialization import split_way

PLAN = "plan.json"
_SETTINGS, _TASKS, _STARTS = "settings", "tasks", "starts"


def keep_plan(plan: SweepPlan, folder: Path) -> None:
    """Write down what a sweep depends on; of a folder with an earlier one, see that it is the same.

    Tasks, starts and seeds may be added.

    Raises:
        SettingError: A task, a start or a setting is another one than before.
        DataError: What was written before is damaged.
        OutputError: It cannot be written.
    """
    file, now = folder / PLAN, _described(plan)
    kept = _read(file) if file.is_file() else {}
    for part, values in now.items():
        changed = [name for name, value in values.items() if kept.get(part, {}).get(name, value) != value]
        if changed:
            raise SettingError(
                f"The sweep in {folder} was begun with another {part.rstrip('s')} '{changed[0]}', so its results "
                "could not be compared with new ones; choose another folder, or give what it was begun with."
            )
    whole = {part: {**kept.get(part, {}), **values} for part, values in now.items()}
    with written_beside(file, ".json") as temporary:
        temporary.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def _described(plan: SweepPlan) -> dict[str, dict[str, Any]]:
    """All that a result depends on besides its seed and the data, of which each run keeps who is in them."""
    training = plan.training
    tasks = {
        name: {"steps": plan.steps.get(name), "file": json.loads(task.file.read_text(encoding="utf-8-sig"))}
        for name, task in plan.tasks.items()
    }
    return {
        _SETTINGS: {"encoder": training.encoder, "minutes": training.minutes},
        _TASKS: tasks,
        _STARTS: {start.name: _fingerprint(located(start.source)) for start in plan.starts},
    }


def _fingerprint(source: str) -> str:
    """What tells two starts apart: the hash of the file; where there is none, what was said."""
    way, model = split_way(source)
    return f"{way}:{digest(Path(model), 'sha256')}" if Path(model).is_file() else source


def _read(file: Path) -> dict[str, dict[str, Any]]:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return {part: dict(kept[part]) for part in (_SETTINGS, _TASKS, _STARTS)}
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{file} is damaged, so nobody knows what its folder holds; choose another folder.") from None
