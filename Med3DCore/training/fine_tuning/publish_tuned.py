"""What becomes of a fine-tuning: how far the weights go, the model, and how good it is beside the old one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.inference.device import Device
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.io import read_label_map, write_label_map
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import load_package, save_package
from Med3DCore.progress import Progress
from Med3DCore.system.folders import make_private
from Med3DCore.training.fine_tuning.adapt import TunedStage
from Med3DCore.training.fine_tuning.blend import ALL_THE_WAY, HALFWAY, blend, choose_ways, on_other_weights
from Med3DCore.training.fine_tuning.held_out import (
    Checked,
    Scores,
    agreement,
    check,
    false_positives,
    scores,
    verdict,
)
from Med3DCore.training.fine_tuning.new_package import describe, with_metrics
from Med3DCore.training.fine_tuning.run_folder import RunFolder
from Med3DCore.training.fine_tuning.tuned import HELD_OUT, FineTuned
from Med3DCore.training.learning.curve import draw_curve
from Med3DCore.training.learning.task import Trained

if TYPE_CHECKING:
    from torch import Tensor


class Publisher:
    """Makes the new model of what was learned, and keeps what the old and the new one find in the held-out cases.

    Args:
        folder: The run.
        device: Where to segment.
        progress: Followed; may cancel.
    """

    def __init__(self, folder: RunFolder, device: Device, progress: Progress) -> None:
        self.folder, self.device, self.progress = folder, device, progress
        self.settings, self.cases = folder.settings, folder.cases
        self.labels, self.parent = folder.labels, folder.parent

    def publish(self, stages: Sequence[TunedStage], trained: dict[str, Trained], before: Scores) -> FineTuned:
        """Write the model, check it as a user's computer would use it, and write it again with what was found."""
        package = describe(self.parent, self.labels, stages, self.cases, self.settings)
        way, weights, checked, otherwise = self._blended(package, stages, trained)
        self.keep(checked, "after")
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
            "installed": False,
            "before": before,
            "after": after,
            "false_positive_ml": {
                "before": self.folder.read_plan().get("false_positive_ml", {}),
                "after": false_positives(checked),
            },
            "kept": kept,
            "way": way,
            "warnings": [*verdict(self.cases, before, after, kept, titles), *on_other_weights(otherwise, way)],
            "steps": sum(stage.steps for stage in trained.values()),
            "held_out": [
                {"name": name, **{when: self._relative(self._kept(name, when)) for when in ("before", "after")}}
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
        # What learned a new label has no parent to go halfway from.
        known = {stage.name: stage.labels for stage in self.parent.stages}
        taught = [stage.recipe.stage for stage in stages]
        ways = [HALFWAY if any(known.get(stage.name) == stage.labels for stage in taught) else ALL_THE_WAY]
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
        chosen, reported = choose_ways(scores(checked[HALFWAY]), scores(checked[ALL_THE_WAY]), patients)
        by_case = {way: {each.case.name: each for each in found} for way, found in checked.items()}
        seen = [by_case[reported[name]][name] for name in by_case[chosen]]
        return chosen, weights[chosen], seen, [name for name, way in reported.items() if way != chosen]

    def _weights(self, stage: str, trained: dict[str, Trained], way: float) -> dict[str, Tensor]:
        """The weights of a stage: the parent's, new ones, or between the two."""
        if stage not in trained:
            return self.parent.read_weights(stage)
        after = trained[stage].weights
        if way == ALL_THE_WAY or stage not in self.parent.parts:
            return dict(after)
        return blend(self.parent.read_weights(stage), after, way)

    def keep(self, checked: Sequence[Checked], when: str) -> None:
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
