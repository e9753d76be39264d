"""A fine-tuning on its way: the check of the parent, the stages one after the other, and their times."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.errors import DataError
from Med3DCore.inference.device import choose_device
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.models.kinds import ENCODER
from Med3DCore.models.stage import Stage
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.system.distributed import Ranks
from Med3DCore.training.cases.cache import prepare_cases
from Med3DCore.training.cases.prepared import Prepared
from Med3DCore.training.fine_tuning.adapt import TunedStage, tuned_stages
from Med3DCore.training.fine_tuning.fit_time import fitted
from Med3DCore.training.fine_tuning.held_out import Scores, check, false_positives, scores
from Med3DCore.training.fine_tuning.imported import ImportedTask, loss_of, prepare_imported, taught_labels
from Med3DCore.training.fine_tuning.publish_tuned import Publisher
from Med3DCore.training.fine_tuning.remember import remembered
from Med3DCore.training.fine_tuning.run_folder import RunFolder
from Med3DCore.training.fine_tuning.tuned import FineTuned
from Med3DCore.training.learning.checkpoint import LAST
from Med3DCore.training.learning.loop import train
from Med3DCore.training.learning.losses import supervised_loss
from Med3DCore.training.learning.recipe import StageRecipe
from Med3DCore.training.learning.task import Task, Trained
from Med3DCore.training.segmentation.checks import require_taught
from Med3DCore.training.segmentation.trainer import SegmentationTask

if TYPE_CHECKING:
    from torch import Tensor

# Of the time: what the networks get at least, however slow reading and checking are.
_LEAST_SHARE = 0.4
# Of the time of a step: what is left beside the parent's forward pass.
_BESIDE_PARENT = 0.75
# Writing the model and its card, and starting the check.
_LAST_SECONDS = 5.0


class Tuning:
    """A fine-tuning on its way.

    Args:
        folder: The run.
        progress: Followed; may cancel, and then everything done stays.
        finish: Do no more steps; make a model of what there is.
    """

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
        self.publisher = Publisher(self.folder, self.device, self.progress)
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
        return self.ranks.from_main(lambda: self.publisher.publish(stages, trained, before))

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
                self.publisher.keep(checked, "before")
            seconds = time.monotonic() - begin
            found = {"before": scores(checked), "false_positive_ml": false_positives(checked)}
            self.folder.add_to_plan({**found, "check_seconds": seconds, "stages": stages})
        return self.folder.read_plan()["before"]

    # -- training ------------------------------------------------------------------------------------------------------

    def _train(self, stage: TunedStage, stages_left: int, share: float) -> Trained:
        recipe, seed, taught = stage.recipe, self.settings.seed, self._taught(stage.recipe.stage)
        with self.progress.stage(f"{recipe.stage.name}: prepare cases"):
            prepared = self._prepared(stage, taught)
            learned = {label.name for label in self.labels}
            require_taught(prepared, {name: i for i, name in enumerate(taught) if name in learned})
            minutes = self.ranks.from_main(lambda: self._minutes(recipe.stage.name, stages_left))
            recipe = self.ranks.from_main(lambda: self._fitted(recipe, minutes, taught))
        task: Task
        if recipe.stage.is_imported:
            task = ImportedTask(recipe, prepared, taught, seed, stage.initial, self._before(recipe.stage))
        else:
            task = SegmentationTask(recipe, prepared, seed, stage.initial)
        folder = self._folder_of(stage)
        return train(task, recipe.training, folder, seed, self.device, self.progress, minutes, share, self.finish)

    def _before(self, stage: Stage) -> tuple[Stage, dict[str, Tensor]]:
        """The parent's stage of the same name, and its weights."""
        parent = next(known for known in self.parent.stages if known.name == stage.name)
        return parent, self.parent.read_weights(parent.name)

    def _taught(self, stage: Stage) -> Sequence[str]:
        """The labels of the target: of an imported model, which may have a hundred, those that the cases show."""
        return taught_labels(stage, self.cases) if stage.is_imported else stage.labels

    def _prepared(self, stage: TunedStage, taught: Sequence[str]) -> Sequence[Prepared]:
        """The cases on the stage's grid."""
        described = stage.recipe.stage
        if described.is_imported:
            return prepare_imported(self.cases, described, taught, self.progress)
        preprocessing = Preprocessing.from_dict(described.preprocessing)
        prepared = prepare_cases(self.cases, preprocessing, taught, progress=self.progress)
        quiet = Progress(is_cancelled=self.progress.is_cancelled)
        return prepared if stage.is_new else remembered(prepared, described, stage.initial, self.device, quiet)

    def _minutes(self, stage: str, stages_left: int) -> float:
        """Time for a stage, decided when it begins: its part of what is left, less the check at the end."""
        key, plan = f"minutes of {stage}", self.folder.read_plan()
        if key not in plan:
            whole = 60 * self.settings.minutes
            left = whole - (time.monotonic() - self.begin) - 2 * plan["check_seconds"] - _LAST_SECONDS
            seconds = max(left / stages_left, _LEAST_SHARE * whole / plan["stages"])
            self.folder.add_to_plan({key: seconds / 60})
        return self.folder.read_plan()[key]

    def _fitted(self, recipe: StageRecipe, minutes: float, taught: Sequence[str]) -> StageRecipe:
        """The recipe with a batch that fits into the time, decided once, unless the user chose one."""
        if {"patch", "batch"} & set(self.settings.training):
            return recipe
        key = f"batch of {recipe.stage.name}"
        if key not in self.folder.read_plan():
            loss = loss_of(recipe.stage, taught) if recipe.stage.is_imported else supervised_loss
            seconds = 60 * minutes * (_BESIDE_PARENT if recipe.stage.is_imported else 1)
            settings = fitted(recipe, seconds, self.device, loss, len(taught))
            self.folder.add_to_plan({key: {"patch": list(settings.patch), "batch": settings.batch}})
        chosen = self.folder.read_plan()[key]
        return replace(recipe, training=replace(recipe.training, patch=tuple(chosen["patch"]), batch=chosen["batch"]))

    def _folder_of(self, stage: TunedStage) -> Path:
        return self.folder.path / stage.recipe.stage.name
