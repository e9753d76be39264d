"""The fine-tunings that a folder holds."""

from __future__ import annotations

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from Med3DCore.errors import DataError, OutputError, SettingError
from Med3DCore.system.locks import InUse
from Med3DCore.training.fine_tuning.run_folder import CASES, QUALITIES, RUN, RunFolder
from Med3DCore.training.learning.checkpoint import LOCK, LOG, training_lock


def remove_never_begun(root: Path) -> None:
    """Delete, in the folders of ``root``, copies of scans by processes that were killed before a training began."""
    for path in Path(root).glob(f"*/{CASES}"):
        if not (path.parent / RUN).is_file():
            with suppress(InUse, OutputError, OSError):
                with training_lock(path.parent):
                    shutil.rmtree(path)
                path.parent.rmdir()  # if it holds nothing else


def remove_run(root: Path, folder: Path) -> None:
    """Delete a training with its copies of the cases. Models that it made, and the cases themselves, stay.

    Args:
        root: Holds the trainings.
        folder: The training's own, in ``root``.

    Raises:
        DataError: It is no training there.
        InUse: It runs.
        OutputError: Something of it cannot be deleted; what is left is still listed.
    """
    path = Path(folder)
    if path.resolve().parent != Path(root).resolve() or not (path / RUN).is_file():
        raise DataError(f"{path} is no training in {root}; choose one of the list.")
    try:
        with training_lock(path):
            for child in sorted(path.iterdir(), key=lambda child: child.name == RUN):  # it, last
                if child.is_dir() and not child.is_symlink():
                    shutil.rmtree(child)
                elif child.name != LOCK:
                    child.unlink()
        path.rmdir()
    except OSError as error:
        raise OutputError(f"{path} cannot be deleted: {error.strerror or error}.") from error


def list_runs(root: Path) -> list[dict]:
    """The fine-tunings in the folders of ``root``, the newest first.

    Returns:
        Of each ``folder``, ``title``, ``state`` (``"unfinished"``, ``"finished"`` once the new model is among the
        user's, or ``"broken"``), ``step``, ``steps``
        (the most that there can be, or None), ``minutes``, ``updated``, ``cases`` (names) and ``model``: the parent's
        reference or, once finished, the new one's.
    """
    runs = [_summary(path.parent) for path in Path(root).glob(f"*/{RUN}")]
    return sorted(runs, key=lambda run: run["updated"], reverse=True)


def _summary(path: Path) -> dict:
    folder = RunFolder(path)
    newest = max(file.stat().st_mtime for file in (path, *path.glob("*.json"), *path.glob(f"*/{LOG}")))
    updated = datetime.fromtimestamp(newest, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    summary = {"folder": str(path), "title": path.name, "state": "broken", "step": 0, "steps": None, "minutes": None}
    summary |= {"updated": updated, "cases": [], "model": None}
    try:
        run, result = folder.describe(), folder.read_result()
        settings = folder.settings
        stages = folder.read_plan().get("stages", 0)
        names = [case["name"] for case in run["cases"]]
    except (DataError, SettingError, KeyError, TypeError):
        return summary
    return summary | {
        "title": settings.title or run["parent"],
        "state": "finished" if result and result.get("installed", True) else "unfinished",  # older ones do not say it
        "step": folder.steps(),
        "steps": QUALITIES[settings.quality] * stages or None,
        "minutes": settings.minutes,
        "cases": names,
        "model": result["model"] if result else run["parent"],
    }
