"""What a training leaves in its folder: checkpoints from which it goes on, and a log of its curve."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from Med3DCore.errors import DataError, OutputError
from Med3DCore.io.write import DISK_FULL, written_beside
from Med3DCore.system.folders import make_private
from Med3DCore.system.locks import locked, require_free

LAST = "checkpoint.pt"
BEST = "best.pt"
LOG = "log.jsonl"
_MEASURED = {"weights", "score", "details"}
_RESUMED = {"identity", "step", "seconds", "network", "averaged", "optimizer", "scaler", "validated", "validation"}
_RESUMED |= {"validation_seconds", "best", "stale"}
LOCK = ".lock"
# What torch's writer of files calls itself in what it complains of.
_WRITER = "inline_container"
_GO_ON = "make space there and start the training again: it goes on from its last checkpoint"
_CURE = "wait until it ends, stop it, or choose another folder"


@contextmanager
def training_lock(folder: Path) -> Iterator[None]:
    """While no other process trains in a folder, which is made if missing.

    Raises:
        InUse: One does.
        OutputError: The folder cannot be written to.
    """
    make_private(folder, ours=any((folder / name).is_file() for name in (LAST, LOG, "run.json")))
    with locked(folder / LOCK, _taken(folder), _CURE):
        yield


def require_no_training(folder: Path) -> None:
    """Refuse at once what :func:`training_lock` would refuse when all is prepared.

    Raises:
        InUse: Another process trains in the folder.
    """
    require_free(folder / LOCK, _taken(folder), _CURE)


def _taken(folder: Path) -> str:
    return f"Another training is running in {folder}"


def save_checkpoint(folder: Path, state: dict[str, Any], name: str = LAST) -> None:
    """Write tensors and plain values; the file before stays until the new one is whole, also on a full disk.

    Raises:
        OutputError: It cannot be written.
    """
    with written_beside(folder / name, cure=_GO_ON) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:  # torch's own writer says of a full disk only how far it came
            reason = DISK_FULL if _WRITER in str(error) else str(error).partition("\n")[0]
            raise OSError(reason) from error


def load_checkpoint(folder: Path, device: torch.device, name: str = LAST) -> dict[str, Any] | None:
    """What :func:`save_checkpoint` wrote, or None if there is none yet.

    Raises:
        DataError: The file is damaged.
    """
    path = folder / name
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        if not isinstance(state, dict) or not (_RESUMED if name == LAST else _MEASURED) <= state.keys():
            raise ValueError("it lacks a part")
        return state
    except Exception as error:  # torch's reader meets broken bytes with nearly any exception
        raise DataError(f"{path} is damaged, so the training cannot go on; remove its folder to begin anew.") from error


class TrainingLog:
    """``log.jsonl``: one JSON object a line, for each step and each validation.

    Args:
        folder: The training's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG

    def cut(self, step: int, validated: int) -> None:
        """Forget what came after a step or validation, since it is done again; also a line cut short by a kill."""
        last = {True: validated, False: step}
        entries = [entry for entry in read_log(self.path) if entry["step"] <= last["validation" in entry]]
        if self.path.is_file():
            with written_beside(self.path) as temporary:
                temporary.write_text("".join(json.dumps(entry) + "\n" for entry in entries))

    def add(self, entry: dict) -> None:
        """Append a line.

        Raises:
            OutputError: It cannot be written.
        """
        try:
            with self.path.open("a") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror}; {_GO_ON}.") from error


def read_log(path: Path) -> list[dict]:
    """The sound lines of a log, oldest first; none if there is no file."""
    entries = []
    with suppress(FileNotFoundError):
        for line in path.read_text(errors="replace").splitlines():
            with suppress(ValueError, RecursionError):
                entry = json.loads(line)
                if isinstance(entry, dict) and isinstance(entry.get("step"), int):
                    entries.append(entry)
    return entries
