"""Make a model package of trained stages: measure it on the held-out cases, say where it comes from, write its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from Med3DCore.errors import SettingError
from Med3DCore.evaluation import CaseReport, LabelPair, evaluate
from Med3DCore.inference.device import Device
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.io.label_names import label_for
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import check_description, load_package, save_package
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import Case, read_channels, read_image
from Med3DCore.training.cases.label import read_label
from Med3DCore.training.learning.initialization import Start
from Med3DCore.training.learning.provenance import nameless, provenance
from Med3DCore.training.learning.recipe import Recipe, package_of
from Med3DCore.training.segmentation.card import write_card
from Med3DCore.volume import LabelMap

if TYPE_CHECKING:
    from torch import Tensor

_TRUTH = "reference_volume_ml"
_VOLUMES = ("volume_ml", _TRUTH)
_MEASURES = ("dice", "assd_mm", "hd95_mm", "nsd", *_VOLUMES)


def publish(
    recipe: Recipe,
    weights: Mapping[str, Mapping[str, Tensor]],
    cases: Sequence[Case],
    folder: Path,
    device: Device,
    progress: Progress | None = None,
    starts: Mapping[str, Start] | None = None,
    name_cases: bool = False,
) -> Path:
    """Write the model package of a recipe, with the metrics of each validation case inside.

    The package is written once without metrics, loaded as a user's computer would (so what is measured are the weights
    in half precision), measured, and written again.

    Args:
        recipe: The recipe.
        weights: State dict of each stage.
        cases: All cases; those of the split ``"validation"`` are measured, those of ``"training"`` are named.
        folder: Where the package goes.
        device: Where to measure.
        progress: Followed, and may cancel.
        starts: What each stage started from; by default random weights.
        name_cases: Whether the package names cases and patients as the data set does; only for public data.

    Returns:
        The package's file.
    """
    progress = progress or Progress()
    cases = cases if name_cases else nameless(cases)
    known = provenance({stage.stage.name: stage.training for stage in recipe.stages}, recipe.seed, cases)
    package = replace(describe_recipe(recipe), provenance={**known, **_origin(starts or {})})
    path = save_package(package, weights, folder)
    metrics = measure(Pipeline(load_package(path), device), cases, progress)
    package = replace(package, metrics=metrics)
    return save_package(replace(package, card=write_card(package)), weights, folder)


def describe_recipe(recipe: Recipe) -> ModelPackage:
    """The package of a recipe as far as it is known before the training.

    Raises:
        ModelError: Its parts do not fit together.
        SettingError: The description of the model is not complete.
    """
    model = dict(recipe.model)
    names = model.pop("labels", None)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise SettingError('The recipe\'s model does not list its labels, such as "labels": ["liver"].')
    labels = tuple(replace(label_for(name, position), name=name) for position, name in enumerate(names))
    package = package_of(model, labels=labels, stages=tuple(stage.stage for stage in recipe.stages))
    check_description(package)
    return package


def _origin(starts: Mapping[str, Start]) -> dict:
    """What the stages started from, and what that had learned from; nothing if all did from random weights."""
    taught = {name: start.source for name, start in starts.items() if start.weights is not None}
    earlier = next((start.provenance for start in starts.values() if start.provenance), {})
    return ({"started_from": taught} if taught else {}) | ({"parent": earlier} if earlier else {})


def measure(pipeline: Pipeline, cases: Sequence[Case], progress: Progress) -> dict:
    """Metrics of each held-out case on the scan's own grid: ``{label: {case: {measure: value}}}``."""
    metrics: dict[str, dict[str, dict[str, float | None]]] = {}
    held_out = [case for case in cases if case.split == "validation"]
    with progress.stage("measure on held-out cases"):
        for done, case in enumerate(held_out):
            progress.update(done / len(held_out))
            report = measure_case(pipeline, case)
            for name, values in values_of(report).items() if report else ():
                metrics.setdefault(name, {})[case.name] = values
    return metrics


def measure_case(pipeline: Pipeline, case: Case) -> CaseReport | None:
    """Segment one case and compare it with its labels, where they are known; None if none of the model's is."""
    names = [label.name for label in pipeline.package.labels if label.name in (*case.drawn, *case.absent)]
    if not names:
        return None
    image = read_image(case)
    channels = read_channels(case, image, pipeline.inputs)
    return compare_with_truth(pipeline.segment(image, names, channels=channels), names, case)


def compare_with_truth(result: LabelMap, names: Sequence[str], case: Case) -> CaseReport:
    """Compare some labels of a result with those of a case, where they are known.

    Args:
        result: On the grid of the case's image.
        names: Labels of the result that are drawn in the case, or known to be absent.
        case: The case.
    """
    reference = LabelMap(np.zeros(result.geometry.shape, np.uint8), result.geometry, case.name)
    if case.label is not None:
        reference = read_label(case, result.geometry, names=[name for name in names if name in case.drawn])
    pairs = [
        LabelPair(name, (result.value(name),), case.values_in(reference, name) if name in case.drawn else ())
        for name in names
    ]
    return evaluate(result, reference, pairs, ignore_value=case.ignore)


def values_of(report: CaseReport) -> dict[str, dict[str, float | None]]:
    """The measures of a case that a package keeps: ``{label: {measure: value}}``.

    Of a label that the case does not show they are its volumes: what was found of it, and 0.
    """
    return {
        name: {key: _rounded(values[key]) if values[_TRUTH] or key in _VOLUMES else None for key in _MEASURES}
        for name, values in ((name, label.measures) for name, label in report.labels.items())
    }


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
