"""How far should fine-tuned weights go from the parent's? Dice at some places between the two.

    python Testing/benchmarks/blend_with_parent.py RUN/parent.med3d.zip RUN/MODEL.med3d.zip CASES.json ../shared/data

Measures the liver of all validation cases of a list, and how much of two hearts is taken for liver (see
``liver_in_heart.py``), at 0 (the parent), 1 (as learned) and between. Of a model that lies halfway already
(``way`` in its provenance), what was learned is put together again first.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from liver_in_heart import heart_ml

from Med3DCore.inference.device import choose_device
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.io import read_volume
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import load_package, save_package
from Med3DCore.training.cases.case import Case
from Med3DCore.training.cases.description import read_cases
from Med3DCore.training.fine_tuning.blend import blend
from Med3DCore.training.segmentation.publish import measure_case

HEARTS = ("lctsc_s1-104", "lctsc_s1-203")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parent", type=Path)
    parser.add_argument("tuned", type=Path)
    parser.add_argument("cases", type=Path, help="data set description; its validation cases are measured")
    parser.add_argument("data", type=Path, help="folder with the CTs of the hearts")
    parser.add_argument("--ways", type=float, nargs="+", default=[0.0, 0.3, 0.5, 0.7, 1.0])
    arguments = parser.parse_args()
    parent, tuned = load_package(arguments.parent), load_package(arguments.tuned)
    cases = [case for case in read_cases(arguments.cases) if case.split == "validation" and "liver" in case.annotated]
    for way in arguments.ways:
        with tempfile.TemporaryDirectory() as folder:
            pipeline = Pipeline(between(parent, tuned, way, Path(folder)), choose_device())
            dices = [f"{case.name} {dice(pipeline, case):.3f}" for case in cases]
            hearts = [f"{name} {in_heart(pipeline, arguments.data, name, Path(folder)):.0f} mL" for name in HEARTS]
        print(f"{way:.1f}:", ", ".join(dices), "| in the heart:", ", ".join(hearts), flush=True)


def between(parent: ModelPackage, tuned: ModelPackage, way: float, folder: Path) -> ModelPackage:
    """The model on the way from one to the other."""
    went = tuned.provenance.get("way", 1.0)
    weights = {part: blend(parent.read_weights(part), tuned.read_weights(part), way / went) for part in parent.parts}
    return load_package(save_package(replace(tuned, name="between"), weights, folder))


def dice(pipeline: Pipeline, case: Case) -> float:
    """Dice of the liver."""
    return measure_case(pipeline, replace(case, annotated=("liver",))).labels["liver"].measures["dice"]


def in_heart(pipeline: Pipeline, data: Path, name: str, folder: Path) -> float:
    """mL of heart taken for liver."""
    return heart_ml(pipeline.segment(read_volume(data / f"{name}_ct.nii.gz"), ["liver"]), name, folder)


if __name__ == "__main__":
    main()
