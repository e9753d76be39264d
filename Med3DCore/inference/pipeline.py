"""Run a model package on a scan: find the organ coarsely, look closely only there, bring the result back.

This is the two stages of the paper's LiTS experiment (section 4.4) for any number of stages and labels. It is also what
makes a CPU fast enough: air and table are never computed finely, and probabilities are enlarged only inside the crop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from Med3DCore.geometry import Geometry
from Med3DCore.inference.device import Device
from Med3DCore.inference.fluid import leave_out_fluid, warn_of_fluid
from Med3DCore.inference.memory import require_maps
from Med3DCore.inference.nnunet.segment import segment_stage
from Med3DCore.inference.paint import paint_labels
from Med3DCore.inference.plausibility import check, leave_out_disputed
from Med3DCore.inference.postprocessing import Cleaning, clean, distance_to
from Med3DCore.inference.reading import Look, Reading
from Med3DCore.inference.scan_end import end_at_padding, touched_ends, warn_of_cut
from Med3DCore.inference.second_look import is_better, unusual_by, with_window_moved
from Med3DCore.inference.stage_networks import InferenceSettings, StageNetworks
from Med3DCore.inference.stage_result import StageResult
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.stage import Stage
from Med3DCore.preprocessing import resample
from Med3DCore.preprocessing.channels import require_channels
from Med3DCore.preprocessing.hounsfield import looks_like_ct
from Med3DCore.preprocessing.padding import Seen, continue_into_padding
from Med3DCore.preprocessing.preprocessing import Box, Preprocessing
from Med3DCore.preprocessing.spacing import world_grid
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap, Volume

# How far a fine stage may go beyond what the coarse one found; its border is good to about 5 mm.
_REACH_MM = 15.0


class Pipeline:
    """A model ready to run; networks are built once and stay warm.

    Args:
        package: The model.
        device: Where to compute.
        settings: Choices between speed and quality.
    """

    def __init__(self, package: ModelPackage, device: Device, settings: InferenceSettings | None = None) -> None:
        self.package = package
        self.networks = StageNetworks(package, device, settings or InferenceSettings())

    def segment(
        self,
        volume: Volume,
        labels: Sequence[str],
        progress: Progress | None = None,
        channels: Sequence[Volume] = (),
    ) -> LabelMap:
        """Segment some labels of a scan.

        Args:
            volume: The scan, in any orientation.
            labels: Names of the wanted labels; they are numbered 1, 2, ... in this order.
            progress: Followed, may cancel, and gets warnings about the result.
            channels: Further images of the patient on the same grid, for a model that needs several.

        Returns:
            Label map on the scan's own grid.

        Raises:
            SettingError: The model does not know a label.
            ResourceError: There is too little memory.
            Cancelled: The user stopped.
        """
        progress = progress or Progress()
        final = {name: self.final_stage(name) for name in labels}
        stages = self._needed_stages(final.values())
        if self.networks.settings.mirror and not any(stage.mirror for stage in stages):
            progress.warn(
                f"{self.package.reference} was never taught mirrored anatomy and would fail on it, so no mirrored "
                "copies were averaged."
            )
        if self.package.is_imported:
            return self._segment_as_imported([volume, *channels], stages[0], labels, progress)
        require_channels([volume, *channels], self.inputs)
        with progress.stage("edge", share=0.01):
            reading = Reading(self.seen(volume), channels)
        self._read(reading, stages, progress, share=0.7)
        looks = {name: self._look_again(name, stage, reading, progress) for name, stage in final.items()}
        left_out = {name: leave_out_disputed(name, *look, volume.geometry) for name, look in looks.items()}
        is_ct = self.package.modality == "CT"
        fluid = {name: leave_out_fluid(name, last, reading.seen.volume) for name, (last, _) in looks.items() if is_ct}
        with progress.stage("restore", share=0.1):
            found = self._assemble(volume, {name: last for name, (last, _) in looks.items()}, progress)
            cut = set() if reading.seen.padding is None else end_at_padding(found, reading.seen.padding)
            for label in (label for label in found.labels if label.name in cut):
                warn_of_cut(label, "scan", progress)
        with progress.stage("check", share=0.01):
            for name, look in looks.items():
                is_cut = name in cut or any(touched_ends(found, name))
                check(name, found, volume, is_ct, is_cut, *look, left_out[name], progress)
                warn_of_fluid(found.labels[found.value(name) - 1], fluid.get(name, 0.0), progress)
        return found

    @property
    def device(self) -> Device:
        """Where networks run, and in which precision."""
        wanted = self.networks.device
        return wanted.exact if self.package.is_imported and not self.networks.settings.fast else wanted

    @property
    def is_fast(self) -> bool:
        """Whether it runs in the faster way that imported models have on some CPUs."""
        return self.package.is_imported and self.device.has_fast_way

    @property
    def inputs(self) -> int:
        """How many images of a patient the model takes."""
        return len(self.package.channels) or 1

    def _segment_as_imported(
        self, volumes: Sequence[Volume], stage: Stage, names: Sequence[str], progress: Progress
    ) -> LabelMap:
        """By the rules of the program that it is of, which decides all labels at once; the wanted ones are kept."""
        mirror = stage.mirror if self.networks.settings.mirror else ()
        array = segment_stage(stage, self.networks.network(stage), volumes, names, self.device, mirror, progress)
        known = {label.name: label for label in self.package.labels}
        scan = volumes[0]
        return LabelMap(array, scan.geometry, scan.name, tuple(known[name] for name in names))

    def seen(self, volume: Volume) -> Seen:
        """The scan as the stages get it: a CT goes on where its grid is only padded."""
        is_ct = self.package.modality == "CT" and looks_like_ct(volume.array)
        return continue_into_padding(volume) if is_ct else Seen(volume)

    def find_box(
        self, stage: Stage, seen: Seen, progress: Progress, share: float = 1.0, channels: Sequence[Volume] = ()
    ) -> Box | None:
        """Where a stage looks, found by running the stages that it depends on.

        Args:
            stage: One of the package's stages.
            seen: The scan, in any orientation, as :meth:`seen` gives it.
            progress: Followed, and may cancel.
            share: Part of the progress's whole job.
            channels: Further images of the patient on the same grid, for a model that needs several.

        Returns:
            Lowest and highest LPS mm, margin included; may reach beyond the scan. None if nothing was found.
        """
        *earlier, stage = self._needed_stages([stage])
        reading = Reading(seen, channels)
        self._read(reading, earlier, progress, share)
        return reading.box(stage)

    def final_stage(self, label: str) -> Stage:
        """The last stage that finds a label.

        Raises:
            SettingError: The model does not know the label.
        """
        self.package.require_label(label)
        return next(stage for stage in reversed(self.package.stages) if label in stage.labels)

    def _needed_stages(self, wanted: Iterable[Stage]) -> list[Stage]:
        """The wanted stages and those that tell them where to look, in the package's order."""
        by_name = {stage.name: stage for stage in self.package.stages}
        needed: set[str] = set()
        for stage in wanted:
            while stage.name not in needed:
                needed.add(stage.name)
                stage = by_name[stage.region["stage"]] if stage.region else stage
        return [stage for stage in self.package.stages if stage.name in needed]

    def _look_again(self, name: str, stage: Stage, reading: Reading, progress: Progress) -> Look:
        """What was found of a label, or what a second look finds, if the first is in doubt and the second less so."""
        first = reading.look(stage)
        unusual = unusual_by(name, *first, reading.seen.volume) if self.package.modality == "CT" else None
        if unusual is None:
            return first
        needed = self._needed_stages([stage])
        moved = [other for each in needed if (other := with_window_moved(each, unusual)) is not None]
        if len(moved) < len(needed):
            return first
        again = Reading(reading.seen, reading.channels)
        self._read(again, moved, progress, share=0.0)
        second = again.look(stage)
        return second if is_better(name, second, first) else first

    def _read(self, reading: Reading, stages: Sequence[Stage], progress: Progress, share: float) -> None:
        """Run stages, in their order."""
        for stage in stages:
            reading.results[stage.name] = self._run_stage(stage, reading, progress, share / len(stages))

    def _run_stage(self, stage: Stage, reading: Reading, progress: Progress, share: float) -> StageResult | None:
        """Prepare, compute and clean one stage; None if there is no place to look at."""
        seen, box = reading.seen, reading.box(stage)
        if box is None:
            return None
        with progress.stage(f"{stage.name}: prepare", share=0.1 * share):
            preprocessing = Preprocessing.from_dict(stage.preprocessing)
            grid = world_grid(seen.volume.geometry, preprocessing.spacing, box)
            require_maps(grid, len(stage.labels), seen.volume)
            prepared, *others = (preprocessing.apply(each, box) for each in (seen.volume, *reading.channels))
            array = np.stack([prepared.array, *(each.array for each in others)]) if others else prepared.array
        with progress.stage(f"{stage.name}: network", share=0.85 * share):
            probabilities = self.networks.probabilities(stage, array, progress)
        with progress.stage(f"{stage.name}: clean", share=0.05 * share):
            scores = _scores(stage, probabilities)
            found = {name: int(np.count_nonzero(score > 0.5)) for name, score in scores.items()}
            before = reading.before(stage)
            if before is not None:
                _keep_near(before, scores, prepared.geometry)
            for name, rules in stage.postprocessing.items():
                cleaning = Cleaning.from_dict(rules)
                scores[name] = clean(scores[name], prepared.geometry.voxel_volume_ml, cleaning)
        return StageResult(scores, prepared.geometry, found)

    def _assemble(self, volume: Volume, found: dict[str, StageResult | None], progress: Progress) -> LabelMap:
        """The label map on the scan's grid."""
        labels = {label.name: label for label in self.package.labels}
        scores = [(result.scores[name], result.grid) if result else None for name, result in found.items()]
        array = paint_labels(scores, volume.geometry, progress)
        return LabelMap(array, volume.geometry, volume.name, tuple(labels[name] for name in found))


def _keep_near(before: StageResult, scores: dict[str, np.ndarray], grid: Geometry) -> None:
    """Drop, in place, what a stage found further than a little from where the stage before it saw the same label.

    A close look judges texture well and anatomy badly: an unenhanced heart in the corner of the box passes for liver.
    """
    for name, score in scores.items():
        distance = distance_to(before.scores[name] > 0.5, before.grid)
        near = resample(distance, before.grid, grid, fill=np.inf) <= _REACH_MM
        score[~near] = 0.0


def _scores(stage: Stage, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """Per label a map above 0.5 where it wins: the probability itself or, for exclusive classes, from its lead."""
    if stage.activation == "sigmoid":
        return dict(zip(stage.labels, probabilities, strict=True))
    scores = {}
    for index, name in enumerate(stage.labels):
        if name != "background":
            others = np.delete(probabilities, index, axis=0).max(axis=0)
            scores[name] = 0.5 + (probabilities[index] - others) / 2
    return scores
