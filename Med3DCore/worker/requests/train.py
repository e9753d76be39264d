"""``train``: teach a model from labelled cases, or go on with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.errors import DataError, fault_in_settings
from Med3DCore.io import read_label_map
from Med3DCore.labels import Label
from Med3DCore.models.catalogue import Catalogue
from Med3DCore.volume import LabelMap, Volume
from Med3DCore.worker.exchange import read_label_array, read_volume_array, write_volume_array
from Med3DCore.worker.job import Job
from Med3DCore.worker.warm import interruptible

if TYPE_CHECKING:
    from Med3DCore.progress import Progress
    from Med3DCore.training.cases.case import Case
    from Med3DCore.training.fine_tuning.tuned import FineTuned, HeldOut

UNTOUCHED_RESULTS = "untouched-results"
"""Code of the error for cases whose labels nobody has looked at."""


@dataclass(frozen=True)
class Fields:
    """What the request says.

    Args:
        folder: The training's own folder, made if missing; it outlives the worker.
        cases: The labelled cases; None goes on with the training in the folder. Of each ``name``; ``volume`` and
            ``labels``, descriptions as in :mod:`Med3DCore.worker.exchange` on one grid, or ``image``, ``label`` (files)
            and ``values`` (label name to its value); ``annotated``: the labels that were looked for, by default all of
            the label map's; ``patient``, by default its name; ``held_out``: whether it is kept to check on, null leaves
            it to the engine; ``untouched``: whether the labels are a model's result that nobody has looked at.
        model: Name or file of the model to start from; None takes the one that ships with Med3D and looks closest.
        title: Of the new model.
        minutes: Time for all of it.
        quality: ``"fast"``, ``"balanced"`` or ``"thorough"``.
        seed: Seed of all that is random.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        settings: See :class:`Med3DCore.training.fine_tuning.run_folder.TuneSettings`.
        take_untouched: Whether results that nobody has looked at may be learned from; else they are refused.
        finish: Without cases: do no more steps, make a model of what there is.
    """

    folder: str
    cases: list[dict] | None = None
    model: str | None = None
    title: str = ""
    minutes: float = 10.0
    quality: str = "balanced"
    seed: int = 0
    device: str = "auto"
    settings: dict = field(default_factory=dict)
    take_untouched: bool = False
    finish: bool = False


def run(fields: Fields, job: Job) -> dict:
    """Fine-tune and add the new model to the user's.

    Returns:
        ``model``: as the request ``models`` lists it; ``before`` and ``after``: ``{label: {case: Dice}}`` of the
        held-out cases; ``false_positive_ml``: ``{"before": {label: {case: mL}}, "after": ...}`` of what was found in
        those without the label; ``kept``: Dice between both models' results for labels that nobody annotated;
        ``warnings``; ``steps``; ``folder``; ``held_out``: of each case ``name`` and descriptions of the label maps
        ``before`` (null if the model to start from finds none) and ``after``, written into the folder; ``curve``: a
        picture or null.

    Raises:
        Med3DError: As :func:`Med3DCore.training.fine_tuning.fine_tune.fine_tune` and the functions of the exchange.
    """
    folder = Path(fields.folder)
    if fields.cases is not None and not fields.take_untouched:
        refuse_untouched(fields.cases)
    with job.progress.stage("start torch"):
        import Med3DCore.training.fine_tuning.fine_tune  # noqa: F401 - takes seconds, once
    with interruptible(job.progress):
        tuned = _tune(fields, folder, job.progress)
    return _result(tuned, folder)


def _tune(fields: Fields, folder: Path, progress: Progress) -> FineTuned:
    from Med3DCore.training.fine_tuning.fine_tune import continue_tuning, fine_tune
    from Med3DCore.training.fine_tuning.run_folder import TuneSettings

    if fields.cases is None:
        return continue_tuning(folder, progress, fields.finish)
    settings = TuneSettings(fields.title, fields.minutes, fields.quality, fields.seed, fields.device, fields.settings)
    parent = Catalogue().find(fields.model) if fields.model else Catalogue().default_for([])
    cases, labels, arrays = _read_cases(fields.cases)
    return fine_tune(parent, cases, folder, settings, progress, labels, arrays)


def refuse_untouched(entries: Sequence[dict]) -> None:
    """A model that learns from its own results learns its own faults; somebody must have said that they are right."""
    names = [str(entry.get("name")) for entry in entries if entry.get("untouched")]
    if names:
        raise DataError(
            f"The labels of {', '.join(names)} are results of a model that nobody has changed; correct them, or say "
            "that they are right as they are.",
            code=UNTOUCHED_RESULTS,
        )


def _read_cases(
    entries: Sequence[dict],
) -> tuple[list[Case], list[Label], dict[str, tuple[Volume, LabelMap]]]:
    """The cases, what is known of their labels, and the arrays of those that are no files."""
    from Med3DCore.training.cases.description import case_from_dict
    from Med3DCore.training.fine_tuning.held_out import AUTOMATIC

    splits = {True: "validation", False: "training", None: AUTOMATIC}
    # How a model does is seen where somebody corrected one, if there is more than one such patient.
    corrected = {entry.get("patient", entry.get("name")) for entry in entries if not entry.get("untouched")}
    cases: list[Case] = []
    labels: dict[str, Label] = {}
    arrays: dict[str, tuple[Volume, LabelMap]] = {}
    for entry in entries:
        try:
            learned = len(corrected) > 1 and entry.get("untouched") and entry.get("held_out") is None
            values = {**entry, "split": "training" if learned else splits[entry.get("held_out")]}
            if "volume" in entry:
                image, label = read_volume_array(entry["volume"]), read_label_array(_with_labels(entry["labels"]))
                arrays[entry["name"]] = (image, label)
                labels |= {each.name: each for each in label.labels}
                names = {each.name: value for value, each in enumerate(label.labels, start=1)}
                values |= {"image": "", "label": None, "values": names}
            cases.append(case_from_dict(values, Path()))
        except (KeyError, TypeError, ValueError) as error:
            name = entry.get("name", "without a name")
            raise DataError(
                f"The case {name} is not described as the worker's protocol says: {fault_in_settings(error)}."
            ) from error
    return cases, list(labels.values()), arrays


def _with_labels(description: dict) -> dict:
    """A label map's description in which labels may be names alone."""
    from Med3DCore.io.label_names import label_for

    labels = [
        asdict(label_for(label, position)) if isinstance(label, str) else label
        for position, label in enumerate(description["labels"])
    ]
    return {**description, "labels": labels}


def _result(tuned: FineTuned, folder: Path) -> dict:
    from Med3DCore.training.fine_tuning.install_tuned import install_tuned

    path = install_tuned(tuned.package)
    entry = next(entry for entry in Catalogue().list() if entry.path == path)
    return {
        "model": entry.to_dict(),
        "before": tuned.before,
        "after": tuned.after,
        "false_positive_ml": tuned.false_positive_ml,
        "kept": tuned.kept,
        "way": tuned.way,
        "warnings": list(tuned.warnings),
        "steps": tuned.steps,
        "folder": str(folder),
        "held_out": [_held_out(each) for each in tuned.held_out],
        "curve": tuned.curve and str(tuned.curve),
    }


def _held_out(case: HeldOut) -> dict:
    return {
        "name": case.name,
        "before": case.before and write_volume_array(read_label_map(case.before), case.before.parent, "before"),
        "after": write_volume_array(read_label_map(case.after), case.after.parent, "after"),
    }
