"""Fine-tuning: a model, a handful of corrected cases and some minutes give a new model, checked beside the old one.

Under torchrun all processes train; whatever else is done or written, the first one does (:mod:`.distributed`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from Med3DCore.errors import Cancelled, DataError
from Med3DCore.inference.device import choose_device
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.io import read_label_map, write_label_map
from Med3DCore.io.label_names import label_for
from Med3DCore.models.package import ENCODER, ModelPackage, load_package, save_package
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.system.distributed import Ranks
from Med3DCore.system.folders import make_private
from Med3DCore.tasks import Label
from Med3DCore.training.cases.cache import prepare_cases
from Med3DCore.training.cases.case import Case
from Med3DCore.training.cases.label import label_volumes
from Med3DCore.training.cases.splits import labels_in
from Med3DCore.training.fine_tuning.adapt import TunedStage, tuned_stages
from Med3DCore.training.fine_tuning.blend import ALL_THE_WAY, HALFWAY, blend, choose_ways, on_other_weights
from Med3DCore.training.fine_tuning.fit_time import fitted
from Med3DCore.training.fine_tuning.held_out import Checked, Scores, agreement, check, choose_held_out, scores, verdict
from Med3DCore.training.fine_tuning.new_package import describe, with_metrics
from Med3DCore.training.fine_tuning.remember import remembered
from Med3DCore.training.fine_tuning.run_folder import RunFolder, TuneSettings, is_run
from Med3DCore.training.fine_tuning.tuned import HELD_OUT, FineTuned
from Med3DCore.training.learning.checkpoint import LAST
from Med3DCore.training.learning.curve import draw_curve
from Med3DCore.training.learning.loop import train
from Med3DCore.training.learning.recipe import StageRecipe
from Med3DCore.training.learning.task import Trained
from Med3DCore.training.segmentation.trainer import SegmentationTask, check_stage, require_taught
from Med3DCore.volume import Volume

if TYPE_CHECKING:
    from torch import Tensor

# Of the time: what the networks get at least, however slow reading and checking are.
_LEAST_SHARE = 0.4
# Writing the model and its card, and starting the check.
_LAST_SECONDS = 5.0


def fine_tune(
    parent: ModelPackage,
    cases: Sequence[Case],
    folder: Path,
    settings: TuneSettings | None = None,
    progress: Progress | None = None,
    labels: Sequence[Label] = (),
    arrays: Mapping[str, tuple[Volume, Volume]] | None = None,
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
        restart: Whether a training that the folder holds already is deleted, once the cases have been looked at.

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
    arrays: Mapping[str, tuple[Volume, Volume]],
    restart: bool,
) -> None:
    """Check what was asked for, and fill the folder."""
    if is_run(run.path) and not restart:
        raise DataError(f"{run.path} holds a training already; continue it, or choose another folder.")
    shown = {case.name: _shown(case, *arrays.get(case.name, ())) for case in cases}
    chosen = choose_held_out(cases, settings.seed, shown)
    if restart:
        run.clear()
    with run.cases_removed_unless_begun():
        _copy(run, parent, chosen, settings, progress, labels, arrays)


def _copy(
    run: RunFolder,
    parent: ModelPackage,
    chosen: Sequence[Case],
    settings: TuneSettings,
    progress: Progress,
    labels: Sequence[Label],
    arrays: Mapping[str, tuple[Volume, Volume]],
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
        return _continue(run, progress or Progress(), finish)


def _continue(run: RunFolder, progress: Progress, finish: bool = False) -> FineTuned:
    try:
        return _Tuning(run, progress, finish).run()
    except Cancelled:
        raise Cancelled(f"Stopped; everything done is saved in {run.path}, so it can be continued.") from None


class _Tuning:
    """A fine-tuning on its way."""

    def __init__(self, folder: RunFolder, progress: Progress, finish: bool) -> None:
        self.folder, self.progress, self.finish = folder, progress, finish
        self.settings, self.cases = folder.settings, folder.cases
        self.labels, self.parent = folder.labels, folder.parent
        self.ranks = Ranks.here()
        # As if the stages that began in an earlier call had taken all their time.
        spent = sum(value for key, value in folder.read_plan().items() if key.startswith("minutes of "))
        self.begin = time.monotonic() - 60 * spent
        progress.within(60 * max(0.0, self.settings.minutes - spent))

    def run(self) -> FineTuned:
        """From wherever it stands to the end."""
        result = self.folder.read_result()
        if result is not None:
            return FineTuned.from_dict(result, self.folder.path)
        self.device = choose_device(self.ranks.device(self.settings.device))
        with self.ranks.joined(self.device.torch_device):
            return self._run()

    def _run(self) -> FineTuned:
        training = [case for case in self.cases if case.split == "training"]
        stages = tuned_stages(self.parent, training, self.settings)
        before = self.ranks.from_main(lambda: self._check_parent(len(stages)))
        if self.finish:
            stages = self._begun(stages)
        share = 0.7 / len(stages)
        trained = {}
        for number, stage in enumerate(stages):
            trained[stage.recipe.stage.name] = self._train(stage, len(stages) - number, share)
        # A new stage for which no time was left would only spoil what the coarse one finds.
        stages = [stage for stage in stages if trained[stage.recipe.stage.name].steps or not stage.is_new]
        if not stages:
            raise DataError(f"{self.settings.minutes:g} minutes are too few to learn anything; allow more time.")
        return self.ranks.from_main(lambda: self._publish(stages, trained, before))

    def _begun(self, stages: Sequence[TunedStage]) -> list[TunedStage]:
        """The stages that learned something. Of a new label the coarse one alone will do."""
        begun = [stage for stage in stages if (self._folder_of(stage) / LAST).is_file()]
        if not begun or any(stage.is_new for stage in stages) > any(stage.is_new for stage in begun):
            raise DataError(f"The training in {self.folder.path} was stopped before it learned enough; continue it.")
        return begun

    # -- before --------------------------------------------------------------------------------------------------------

    def _check_parent(self, stages: int) -> Scores:
        """Dice of the parent on the held-out cases, kept in the plan; its label maps stay in the folder."""
        plan = self.folder.read_plan()
        if "before" not in plan:
            begin, checked = time.monotonic(), []
            if self.parent.kind != ENCODER:
                pipeline = Pipeline(self.parent, self.device)
                checked = check(pipeline, self.cases, self.progress, share=0.06)
                self._keep(checked, "before")
            seconds = time.monotonic() - begin
            self.folder.add_to_plan({"before": scores(checked), "check_seconds": seconds, "stages": stages})
        return self.folder.read_plan()["before"]

    # -- training ------------------------------------------------------------------------------------------------------

    def _train(self, stage: TunedStage, stages_left: int, share: float) -> Trained:
        recipe, quiet = stage.recipe, Progress(is_cancelled=self.progress.is_cancelled)
        preprocessing, labels = Preprocessing.from_dict(recipe.stage.preprocessing), recipe.stage.labels
        with self.progress.stage(f"{recipe.stage.name}: prepare cases"):
            prepared = prepare_cases(self.cases, preprocessing, labels, progress=self.progress)
            learned = {label.name for label in self.labels}
            require_taught(prepared, {name: i for i, name in enumerate(labels) if name in learned})
            if not stage.is_new:
                prepared = remembered(prepared, recipe.stage, stage.initial, self.device, quiet)
            minutes = self.ranks.from_main(lambda: self._minutes(recipe.stage.name, stages_left))
            recipe = self.ranks.from_main(lambda: self._fitted(recipe, minutes))
        task = SegmentationTask(recipe, prepared, self.settings.seed, stage.initial)
        folder, seed = self._folder_of(stage), self.settings.seed
        return train(task, recipe.training, folder, seed, self.device, self.progress, minutes, share, self.finish)

    def _minutes(self, stage: str, stages_left: int) -> float:
        """Time for a stage, decided when it begins: its part of what is left, less the check at the end."""
        key, plan = f"minutes of {stage}", self.folder.read_plan()
        if key not in plan:
            whole = 60 * self.settings.minutes
            left = whole - (time.monotonic() - self.begin) - 2 * plan["check_seconds"] - _LAST_SECONDS
            seconds = max(left / stages_left, _LEAST_SHARE * whole / plan["stages"])
            self.folder.add_to_plan({key: seconds / 60})
        return self.folder.read_plan()[key]

    def _fitted(self, recipe: StageRecipe, minutes: float) -> StageRecipe:
        """The recipe with a batch that fits into the time, decided once, unless the user chose one."""
        if {"patch", "batch"} & set(self.settings.training):
            return recipe
        key = f"batch of {recipe.stage.name}"
        if key not in self.folder.read_plan():
            settings = fitted(recipe, 60 * minutes, self.device)
            self.folder.add_to_plan({key: {"patch": list(settings.patch), "batch": settings.batch}})
        chosen = self.folder.read_plan()[key]
        return replace(recipe, training=replace(recipe.training, patch=tuple(chosen["patch"]), batch=chosen["batch"]))

    def _folder_of(self, stage: TunedStage) -> Path:
        return self.folder.path / stage.recipe.stage.name

    # -- after ---------------------------------------------------------------------------------------------------------

    def _publish(self, stages: Sequence[TunedStage], trained: dict[str, Trained], before: Scores) -> FineTuned:
        """Write the model, check it as a user's computer would use it, and write it again with what was found."""
        package = describe(self.parent, self.labels, stages, self.cases, self.settings)
        way, weights, checked, otherwise = self._blended(package, stages, trained)
        self._keep(checked, "after")
        names = [each.case.name for each in checked]
        known = {
            name: read_label_map(self._kept(name, "before")) for name in names if self._kept(name, "before").is_file()
        }
        after, kept = scores(checked), agreement(known, checked)
        titles = {label.name: label.title for label in package.labels}
        path = save_package(with_metrics(package, checked, self.cases, before, way), weights, self.folder.path)
        result = {
            "model": package.reference,
            "package": path.name,
            "before": before,
            "after": after,
            "kept": kept,
            "way": way,
            "warnings": [*verdict(self.cases, before, after, kept, titles), *on_other_weights(otherwise, way)],
            "steps": sum(stage.steps for stage in trained.values()),
            "held_out": [
                {"name": name} | {when: self._relative(self._kept(name, when)) for when in ("before", "after")}
                for name in names
            ],
            "curve": self._relative(draw_curve(self.folder.path, {name: self.folder.path / name for name in trained})),
        }
        self.folder.write_result(result)
        return FineTuned.from_dict(result, self.folder.path)

    def _blended(
        self, package: ModelPackage, stages: Sequence[TunedStage], trained: dict[str, Trained]
    ) -> tuple[float, dict[str, dict[str, Tensor]], list[Checked], list[str]]:
        """How far to go from the parent, the weights there, and what is found in the held-out cases.

        Last, the cases in which that is found by another way's weights than the model's, see :func:`.choose_ways`.
        """
        patients = {case.name: case.patient for case in self.cases if case.split == "validation"}
        ways = [HALFWAY] if any(not stage.is_new for stage in stages) else [ALL_THE_WAY]
        if ways == [HALFWAY] and len(set(patients.values())) > 1:
            ways.append(ALL_THE_WAY)
        weights, checked = {}, {}
        for way in ways:
            weights[way] = {stage.name: self._weights(stage.name, trained, way) for stage in package.stages}
            path = save_package(package, weights[way], self.folder.path)
            pipeline = Pipeline(load_package(path), self.device)
            checked[way] = check(pipeline, self.cases, self.progress, share=0.15 / len(ways))
        if len(ways) == 1:
            return ways[0], weights[ways[0]], checked[ways[0]], []
        chosen, reported = choose_ways(*(scores(checked[way]) for way in ways), patients)
        by_case = {way: {each.case.name: each for each in found} for way, found in checked.items()}
        seen = [by_case[reported[name]][name] for name in by_case[chosen]]
        return chosen, weights[chosen], seen, [name for name, way in reported.items() if way != chosen]

    def _weights(self, stage: str, trained: dict[str, Trained], way: float) -> dict[str, Tensor]:
        """The weights of a stage: the parent's, new ones, or between the two."""
        if stage not in trained:
            return self.parent.read_weights(stage)
        after = trained[stage].weights
        return blend(self.parent.read_weights(stage), after, way) if stage in self.parent.parts else dict(after)

    def _keep(self, checked: Sequence[Checked], when: str) -> None:
        """Write what a model found in the held-out cases."""
        for each in checked:
            path = self._kept(each.case.name, when)
            make_private(path.parent)
            write_label_map(each.labels, path)

    def _kept(self, name: str, when: str) -> Path:
        number = 1 + [case.name for case in self.cases].index(name)
        return self.folder.path / HELD_OUT / f"{number}_{when}.seg.nrrd"

    def _relative(self, path: Path) -> str | None:
        return path.relative_to(self.folder.path).as_posix() if path.is_file() else None


def _shown(case: Case, image: Volume | None = None, label: Volume | None = None) -> set[str]:  # noqa: ARG001
    """The annotated labels of which a case shows a voxel."""
    if label is None:
        return labels_in(case)
    return {name for name, count in label_volumes(case, label.array).items() if count and name in case.annotated}


def _labels_of(cases: Sequence[Case], given: Sequence[Label]) -> list[Label]:
    """The annotated labels, as given or by their names."""
    by_name = {label.name: label for label in given}
    names = dict.fromkeys(name for case in cases for name in case.annotated)
    return [by_name.get(name) or replace(label_for(name, i), name=name) for i, name in enumerate(names)]
