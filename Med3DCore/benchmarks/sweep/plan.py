"""What a sweep does: each task from each start with each seed, and the folders that hold it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from Med3DCore.benchmarks.task import BenchmarkTask
from Med3DCore.errors import ModelError, SettingError
from Med3DCore.io.files import as_path
from Med3DCore.models import Catalogue
from Med3DCore.training.comparison.init import Init
from Med3DCore.training.learning.initialization import SCRATCH, is_checkpoint, split_way


@dataclass(frozen=True)
class Training:
    """What all trainings of a sweep have in common.

    Args:
        encoder: Settings of the encoder that replace those of the tasks' files.
        minutes: Time for each training, or None.
        device: Where to compute, as people write it.
        no_cache: Whether prepared cases are kept in memory.
        workers: Batches that are drawn ahead, or None for the usual number.
        threads: Of each training on a CPU, or None for as many as torch takes.
    """

    encoder: dict[str, Any] = field(default_factory=dict)
    minutes: float | None = None
    device: str = "auto"
    no_cache: bool = False
    workers: int | None = None
    threads: int | None = None


@dataclass(frozen=True)
class SweepRun:
    """One training and its evaluation; plain values that another computer understands.

    Args:
        task: The task's name.
        file: The task's file, absolute.
        data: Its data set's folder, absolute.
        start: Name of the start.
        source: The start itself, see :func:`Med3DCore.training.learning.initialization.find_start`; a file's path is
            absolute.
        seed: Of weights, patches and augmentation.
        folder: What is kept of it, as ``med3d task train`` keeps it; absolute.
        steps: Of each stage, or None for as many as the task's file says.
        training: What all runs have in common.
    """

    task: str
    file: Path
    data: Path
    start: str
    source: str
    seed: int
    folder: Path
    steps: int | None
    training: Training

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{self.task}, {self.start}, seed {self.seed}"


@dataclass(frozen=True)
class SweepPlan:
    """All that a sweep does.

    Args:
        tasks: The tasks, by name.
        data: The folder of each task's data set.
        starts: The first is what the others are compared with.
        seeds: Seeds.
        steps: Of the tasks whose trainings are shorter or longer than their files say.
        training: What all runs have in common.
    """

    tasks: dict[str, BenchmarkTask]
    data: Mapping[str, Path]
    starts: tuple[Init, ...]
    seeds: tuple[int, ...]
    steps: Mapping[str, int] = field(default_factory=dict)
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        for what, values in (("start", [start.name for start in self.starts]), ("seed", list(self.seeds))):
            require_once(what, values)

    def runs(self, folder: Path) -> list[SweepRun]:
        """Every combination, all of one seed before the next, so that there is soon a whole table.

        Args:
            folder: The sweep's.
        """
        folder = folder.absolute()
        return [
            SweepRun(
                task=name,
                file=task.file.absolute(),
                data=self.data[name].absolute(),
                start=start.name,
                source=located(start.source),
                seed=seed,
                folder=folder / name / start.name / f"seed-{seed}",
                steps=self.steps.get(name),
                training=self.training,
            )
            for seed in self.seeds
            for name, task in self.tasks.items()
            for start in self.starts
        ]


def require_once(what: str, values: Sequence[Any]) -> None:
    """Refuse a choice of nothing, or of something twice.

    Raises:
        SettingError: It is one of these.
    """
    twice = [value for value in values if values.count(value) > 1]
    if not values or twice:
        raise SettingError(f"The {what} {twice[0]} is given twice." if twice else f"Give at least one {what}.")


def located(source: str) -> str:
    """A start as other folders and computers understand it: the file of a model instead of its name.

    One that is not there stays as it is; its trainings will say so.
    """
    way, model = split_way(source)
    if source == SCRATCH:
        return source
    if is_checkpoint(model) or model.endswith(".zip") or "/" in model:
        file = as_path(model).absolute()
    else:
        try:
            file = Catalogue().find(model).file.absolute()
        except ModelError:
            return source
    return f"{way}:{file}" if way else str(file)
