"""The folder of a fine-tuning: all that it needs to go on, also after everything else is gone.

``run.json`` says what was asked for, ``parent.med3d.zip`` is the model to start from, ``cases/`` holds images and
labels, a folder for each stage its checkpoints and log, ``plan.json`` what the run found out about this computer,
``held_out/`` what was found in the cases that it is checked on, and ``result.json`` how it ended.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from Med3DCore.errors import DataError, OutputError, SettingError
from Med3DCore.io import write_volume, written_beside
from Med3DCore.labels import Label
from Med3DCore.models.package import ModelPackage, utc_now
from Med3DCore.models.package_file import copy_package, load_package
from Med3DCore.system.distributed import Ranks
from Med3DCore.system.folders import make_private
from Med3DCore.training.cases.case import UNKNOWN, Case, Values, read_image
from Med3DCore.training.cases.description import case_from_dict
from Med3DCore.training.cases.label import read_label
from Med3DCore.training.fine_tuning.tuned import HELD_OUT
from Med3DCore.training.learning.checkpoint import LAST, LOG, read_log, training_lock
from Med3DCore.training.learning.curve import CURVE
from Med3DCore.volume import LabelMap, Volume

QUALITIES = {"fast": 60, "balanced": 400, "thorough": 2000}
"""Largest number of steps of each network, for who has more time than it takes."""

RUN, _PLAN, _RESULT, _PARENT, CASES = "run.json", "plan.json", "result.json", "parent.med3d.zip", "cases"
_ASIDE = "before-restart"


@dataclass(frozen=True)
class TuneSettings:
    """What a user may choose about a fine-tuning; nothing must be.

    Args:
        title: Of the new model; empty names it after its parent.
        minutes: Time for all of it, from reading the cases to the checked model.
        quality: ``"fast"``, ``"balanced"`` or ``"thorough"``: how many steps at most.
        seed: Seed of all that is random.
        device: Where to compute, as for :func:`Med3DCore.inference.device.choose_device`.
        training: Settings of :class:`Med3DCore.training.learning.recipe.TrainingSettings` that shall have other values,
            and ``"freeze_encoder"``.
    """

    title: str = ""
    minutes: float = 10.0
    quality: str = "balanced"
    seed: int = 0
    device: str = "auto"
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.minutes < float("inf"):
            raise SettingError(f"The time for the training is {self.minutes} minutes; it must be more than 0.")
        if self.quality not in QUALITIES:
            raise SettingError(f"Unknown quality '{self.quality}'; choose one of {', '.join(QUALITIES)}.")


@dataclass(frozen=True)
class RunFolder:
    """A fine-tuning on disk.

    Args:
        path: Its folder.
    """

    path: Path

    def begin(
        self, parent: ModelPackage, cases: Sequence[Case], labels: Sequence[Label], settings: TuneSettings
    ) -> None:
        """Copy the parent and write down what is asked for; the cases were stored before.

        Raises:
            ModelError: The parent's file was removed or replaced meanwhile.
            OutputError: The folder cannot be written to.
        """
        copy_package(parent, self.path / _PARENT)
        self.write(
            RUN,
            {
                "settings": asdict(settings),
                "parent": parent.reference,
                "cases": [_case_to_dict(case, self.path) for case in cases],
                "labels": [label.to_dict() for label in labels],
                "created": utc_now(),
            },
        )

    @contextmanager
    def alone(self, ranks: Ranks) -> Iterator[None]:
        """While no other process trains here; of several that train together, the first one sees to it.

        Raises:
            InUse: Another one does.
        """
        with ExitStack() as held:
            ranks.from_main(lambda: held.enter_context(training_lock(self.path)))
            yield

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Begin anew: the training that is there goes once the new one has begun, and comes back if that is refused.

        What somebody else may have put into the folder stays where it is.

        Raises:
            OutputError: Something cannot be moved or deleted.
        """
        stages = {path.parent for name in (LOG, LAST) for path in self.path.glob(f"*/{name}")}
        result = self.read_result()
        made = [] if result is None else [result["package"]]
        # The first of them makes it a training: what is left of a moving that was interrupted is none.
        names = [RUN, _PLAN, _RESULT, _PARENT, CURVE, *made, CASES, HELD_OUT, *sorted(path.name for path in stages)]
        aside = self.path / _ASIDE
        try:
            with _told():
                aside.mkdir()
                for name in names:
                    if (self.path / name).exists():
                        (self.path / name).rename(aside / name)
            yield
        finally:
            self.take_back()

    def take_back(self) -> None:
        """The training that was set aside, if no other has begun in its place, even if the process was killed then.

        Raises:
            OutputError: Something cannot be moved or deleted.
        """
        aside = self.path / _ASIDE
        if not aside.is_dir():
            return
        with _told():
            if not (self.path / RUN).is_file():
                for path in sorted(aside.iterdir(), key=lambda path: path.name == RUN):  # what makes it one comes last
                    target = self.path / path.name
                    if target.is_dir():
                        shutil.rmtree(target)
                    path.rename(target)
            shutil.rmtree(aside)

    @contextmanager
    def cases_removed_unless_begun(self) -> Iterator[None]:
        """A training that is refused or cancelled before it is one leaves no copy of a scan."""
        try:
            yield
        finally:
            if not (self.path / RUN).is_file():
                shutil.rmtree(self.path / CASES, ignore_errors=True)

    def store_case(self, number: int, case: Case, image: Volume | None = None, label: LabelMap | None = None) -> Case:
        """Copy a case into the folder, on one grid and without the names of its files.

        Of a label that was not annotated nothing is known then, wherever the label file has its value and no annotated
        label's. Where annotated labels overlap, each of them has the value of the overlap among its own. A case without
        a label file only shows what is absent.

        Args:
            number: Its place among the cases.
            case: The case; its files are read where the arrays are not given.
            image: The image, if it is no file.
            label: Values of the labels on the same grid, uint8, if they are no file.

        Returns:
            The case with the new files.

        Raises:
            DataError: Image and label do not fit.
            OutputError: The folder cannot be written to, or the disk is full.
        """
        image = image or read_image(case)
        if label is None and case.label:
            label = read_label(case, image.geometry)
        grid = label.geometry if label else image.geometry
        if not grid.is_close(image.geometry, tolerance_mm=0.1) or (label and label.array.shape != image.array.shape):
            raise DataError(
                f"Case '{case.name}': image and label do not lie on the same grid; resample one onto the other."
            )
        folder = self.path / CASES
        make_private(folder)
        path = folder / f"{number}_image.nii.gz"
        write_volume(image, path)
        case = replace(case, image=path, frame=0)
        if label is None:
            return replace(case, annotated=(), values={})
        values: dict[str, Values] = {
            name: case.values_in(label, name) for name in case.values if name in case.annotated
        }
        array = self._annotated(case, label)
        path = folder / f"{number}_label.nii.gz"
        write_volume(Volume(array, image.geometry), path)
        return replace(case, values=values, label=path)

    @staticmethod
    def _annotated(case: Case, label: LabelMap) -> np.ndarray:
        """The label's values, uint8, without those of labels that were not annotated."""
        unknown, known = np.zeros(label.array.shape, bool), np.zeros(label.array.shape, bool)
        for name in case.values:
            mask = known if name in case.annotated else unknown
            mask |= case.inside(label, name)
        array = np.where(unknown & ~known, np.uint8(UNKNOWN), label.array)
        if case.ignore is not None:
            array[label.mask_of((case.ignore,))] = case.ignore
        return array

    def describe(self) -> dict:
        """What was asked for; also of a training that was being set aside when the process was killed.

        Raises:
            DataError: There is no fine-tuning in the folder, or its description is damaged.
        """
        values = self.read(RUN) or self.read(f"{_ASIDE}/{RUN}")
        if values is None:
            raise DataError(f"There is no training in {self.path} that could be continued.")
        return values

    def differences(self, settings: TuneSettings, parent: str, cases: Sequence[Case] | None) -> list[str]:
        """What another call asks for otherwise than the training was begun with, in words; it will not be heeded.

        Args:
            settings: The user's choices now.
            parent: Name, name-version or file of the model to start from.
            cases: The cases, as far as they can still be read.
        """
        begun, said = asdict(self.settings), []
        for name, value in asdict(settings).items():
            if name != "device" and value != begun[name]:
                said.append(f"{name} {value or 'none'} instead of {begun[name] or 'none'}")
        reference = self.describe()["parent"]
        if Path(parent).suffix != ".zip" and parent not in (reference, reference.rpartition("-")[0]):
            said.append(f"model {parent} instead of {reference}")
        before = {(case.name, case.patient) for case in self.cases}
        if cases is not None and {(case.name, case.patient) for case in cases} != before:
            said.append(f"{len(cases)} cases instead of {len(before)}" if len(cases) != len(before) else "other cases")
        return said

    @property
    def settings(self) -> TuneSettings:
        """The user's choices."""
        return TuneSettings(**self.describe()["settings"])

    @property
    def cases(self) -> list[Case]:
        """The cases, as copied."""
        return [case_from_dict(entry, self.path) for entry in self.describe()["cases"]]

    @property
    def labels(self) -> list[Label]:
        """The annotated labels."""
        return [Label.from_dict(values) for values in self.describe()["labels"]]

    @property
    def parent(self) -> ModelPackage:
        """The model to start from."""
        return load_package(self.path / _PARENT)

    def read_plan(self) -> dict:
        """What the run found out so far."""
        return self.read(_PLAN) or {}

    def add_to_plan(self, values: dict[str, Any]) -> None:
        """Remember what must stay the same when the run goes on."""
        self.write(_PLAN, self.read_plan() | values)

    def read_result(self) -> dict | None:
        """How it ended, or None."""
        return self.read(_RESULT)

    def write_result(self, values: dict) -> None:
        """Say how it ended."""
        self.write(_RESULT, values)

    def steps(self) -> int:
        """Steps done so far, all stages together."""
        logs = [read_log(path) for path in self.path.glob(f"*/{LOG}")]
        return sum(max((entry["step"] for entry in log), default=0) for log in logs)

    def read(self, name: str) -> dict | None:
        """A JSON file of the folder, or None."""
        path = self.path / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise DataError(f"{path} is damaged, so this training cannot go on; remove its folder.") from error

    def write(self, name: str, values: dict) -> None:
        """Write a JSON file, beside and renamed."""
        with written_beside(self.path / name) as temporary:
            temporary.write_text(json.dumps(values, indent=1), encoding="utf-8")


def is_run(path: Path) -> bool:
    """Whether a folder holds a fine-tuning, at whatever point, also one that :meth:`RunFolder.take_back` gives back."""
    return any((Path(path) / place / RUN).is_file() for place in ("", _ASIDE))


def _case_to_dict(case: Case, folder: Path) -> dict:
    """The inverse of ``case_from_dict``."""
    values = {item.name: getattr(case, item.name) for item in fields(case)}
    for name in ("image", "label"):
        values[name] = values[name] and values[name].relative_to(folder).as_posix()
    return values | {"values": {name: np.atleast_1d(v).tolist() for name, v in case.values.items()}}


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{error.filename} cannot be moved or deleted: {error.strerror}; choose another folder."
        ) from error
