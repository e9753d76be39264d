"""Fine-tuning: a model, a handful of corrected cases and some minutes give a new model, checked beside the old one.

Under torchrun all processes train; whatever else is done or written, the first one does (:mod:`.distributed`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch

from Med3DCore.errors import Cancelled, DataError
from Med3DCore.inference.device import choose_device
from Med3DCore.io.label_names import label_for
from Med3DCore.labels import Label
from Med3DCore.models.kinds import ENCODER
from Med3DCore.models.package import ModelPackage
from Med3DCore.progress import Progress
from Med3DCore.system.distributed import Ranks
from Med3DCore.training.cases.case import Case
from Med3DCore.training.cases.label import label_volumes, labels_in
from Med3DCore.training.fine_tuning.adapt import tuned_stages
from Med3DCore.training.fine_tuning.held_out import choose_held_out
from Med3DCore.training.fine_tuning.run_folder import RunFolder, TuneSettings, is_run
from Med3DCore.training.fine_tuning.tuned import FineTuned
from Med3DCore.training.fine_tuning.tuning import Tuning
from Med3DCore.training.segmentation.checks import check_stage
from Med3DCore.volume import LabelMap, Volume


def fine_tune(
    parent: ModelPackage,
    cases: Sequence[Case],
    folder: Path,
    settings: TuneSettings | None = None,
    progress: Progress | None = None,
    labels: Sequence[Label] = (),
    arrays: Mapping[str, tuple[Volume, LabelMap]] | None = None,
    restart: bool = False,
) -> FineTuned:
    """Teach a model from labelled cases; nothing else need be chosen.

    The cases are copied into the folder, so that :func:`continue_tuning` can go on after any interruption.

    Args:
        parent: A model that segments, or an encoder.
        cases: Labelled cases. Of the split ``"automatic"`` are those of which the user did not say what they are for.
            A label that the parent does not know is learned as a new one.
        folder: Folder of the run; made if missing.
        settings: The user's choices.
        progress: Followed; may cancel, and then everything done stays.
        labels: Titles, colours and codes of the annotated labels; by name where they are missing.
        arrays: Image and label by name of the case, for cases that are no files.
        restart: Whether a training that the folder holds already is deleted, once the new one has begun.

    Raises:
        Cancelled: The user stopped.
        DataError: The cases cannot be learned from, or the folder holds another training.
        ModelError: The parent is a classifier.
        Med3DError: As :func:`Med3DCore.training.learning.loop.train`.
    """
    if parent.kind != ENCODER:
        parent.require_pipeline()
    if not any(case.annotated for case in cases):
        raise DataError("No case has a labelled organ; label one in at least one case.")
    settings, progress, ranks = settings or TuneSettings(), progress or Progress(), Ranks.here()
    progress.within(60 * settings.minutes)
    run, device = RunFolder(Path(folder)), choose_device(ranks.device(settings.device))
    with ranks.joined(device.torch_device), run.alone(ranks):
        ranks.from_main(lambda: _begin(run, parent, cases, settings, progress, labels, arrays or {}, restart))
        return _continue(run, progress)


def _begin(
    run: RunFolder,
    parent: ModelPackage,
    cases: Sequence[Case],
    settings: TuneSettings,
    progress: Progress,
    labels: Sequence[Label],
    arrays: Mapping[str, tuple[Volume, LabelMap]],
    restart: bool,
) -> None:
    """Check what was asked for, and fill the folder."""
    run.take_back()
    if is_run(run.path) and not restart:
        raise DataError(f"{run.path} holds a training already; continue it, or choose another folder.")
    shown = {case.name: _shown(case, *arrays.get(case.name, ())) for case in cases}
    chosen = choose_held_out(cases, settings.seed, shown)
    _require_new_labels(parent, chosen, shown, {label.name: label.title for label in labels})
    with run.set_aside() if is_run(run.path) else nullcontext(), run.cases_removed_unless_begun():
        _copy(run, parent, chosen, settings, progress, labels, arrays)


def _require_new_labels(
    parent: ModelPackage, cases: Sequence[Case], shown: Mapping[str, set[str]], titles: Mapping[str, str]
) -> None:
    """Refuse a label that the parent does not know and that nothing which is learned from shows.

    Raises:
        DataError: There is one.
    """
    learned = set().union(*(shown[case.name] for case in cases if case.split == "training"))
    for name in dict.fromkeys(name for case in cases for name in case.annotated):
        if name not in (*parent.label_names, *learned):
            raise DataError(
                f"No training case shows where '{titles.get(name, name)}' is, which is new to the model; label it in "
                "at least one case that is not held out."
            )


def _copy(
    run: RunFolder,
    parent: ModelPackage,
    chosen: Sequence[Case],
    settings: TuneSettings,
    progress: Progress,
    labels: Sequence[Label],
    arrays: Mapping[str, tuple[Volume, LabelMap]],
) -> None:
    with progress.stage("copy the cases", share=0.03):
        stored = []
        for number, case in enumerate(chosen, start=1):
            progress.update((number - 1) / len(chosen))
            stored.append(run.store_case(number, case, *arrays.get(case.name, ())))
    # What would stop it at once is refused before the folder is one of a training, which has its settings for good. The
    # random weights of new stages are drawn again later, as if they had not been drawn here.
    with torch.random.fork_rng(devices=[]):
        for stage in tuned_stages(parent, [case for case in stored if case.split == "training"], settings):
            check_stage(stage.recipe)
    run.begin(parent, stored, _labels_of(stored, labels), settings)


def continue_tuning(folder: Path, progress: Progress | None = None, finish: bool = False) -> FineTuned:
    """Go on with a fine-tuning that was stopped, in whatever way; one that is done gives its result again.

    Args:
        folder: Folder of the run.
        progress: Followed; may cancel, and then everything done stays.
        finish: Do no more steps; make a model of what there is.

    Raises:
        Cancelled: The user stopped.
        DataError: There is no training in the folder.
        Med3DError: As :func:`fine_tune`.
    """
    run, ranks = RunFolder(Path(folder)), Ranks.here()
    run.describe()
    with ranks.joined(choose_device(ranks.device(run.settings.device)).torch_device), run.alone(ranks):
        ranks.from_main(run.take_back)
        return _continue(run, progress or Progress(), finish)


def _continue(run: RunFolder, progress: Progress, finish: bool = False) -> FineTuned:
    try:
        return Tuning(run, progress, finish).run()
    except Cancelled:
        raise Cancelled(f"Stopped; everything done is saved in {run.path}, so it can be continued.") from None


def _shown(case: Case, image: Volume | None = None, label: LabelMap | None = None) -> set[str]:  # noqa: ARG001
    """The annotated labels of which a case shows a voxel."""
    if label is None:
        return labels_in(case)
    return {name for name, count in label_volumes(case, label).items() if count and name in case.annotated}


def _labels_of(cases: Sequence[Case], given: Sequence[Label]) -> list[Label]:
    """The annotated labels, as given or by their names."""
    by_name = {label.name: label for label in given}
    names = dict.fromkeys(name for case in cases for name in case.annotated)
    return [by_name.get(name) or replace(label_for(name, i), name=name) for i, name in enumerate(names)]
