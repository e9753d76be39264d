"""How real are the phantoms? Train on one world, test on the other.

    python Testing/benchmarks/phantom_gap.py runs/data/dataset.json -o runs/phantom-gap [--model MODEL]

Makes 24 phantoms (different patients, regions, phases, noise), trains the coarse stage of the shipped recipe on them
alone and measures it on the real validation cases. With ``--model``, of a model that was taught by real CTs alone (the
shipped one is not, since 0.2.0), measures that on six more phantoms. Prints Dice per case.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from Med3DCore.cli.console import ProgressBar
from Med3DCore.evaluation import CaseReport, evaluate
from Med3DCore.inference.device import choose_device
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.inference.segment import segment
from Med3DCore.io import read_label_map, read_volume
from Med3DCore.models.package_file import load_package
from Med3DCore.phantom.data_set import write_phantom_data_set
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import Case
from Med3DCore.training.cases.description import read_cases
from Med3DCore.training.learning.recipe import read_recipe
from Med3DCore.training.segmentation.publish import measure_case, publish
from Med3DCore.training.segmentation.trainer import train_stage

RECIPE = Path(__file__).resolve().parents[2] / "Resources" / "Recipes" / "liver-lungs.json"
ORGANS = {"liver": 1, "lungs": 2}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path, help="data set description of real cases")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", help="name or file of a model taught by real CTs alone")
    parser.add_argument("--steps", type=int, default=500)
    arguments = parser.parse_args()
    phantoms = read_cases(write_phantom_data_set(arguments.output, 30, held_out=5))
    if arguments.model:
        print("real CTs -> phantoms")
        print_scores([on_phantom(arguments.model, case) for case in phantoms if case.split == "validation"])
    print("phantoms -> real CTs (one coarse network)")
    pipeline = train_on_phantoms(phantoms, arguments.output, arguments.steps)
    real = [case for case in read_cases(arguments.real) if case.split == "validation"]
    print_scores([report for case in real if (report := measure_case(pipeline, case))])


def train_on_phantoms(cases: list, folder: Path, steps: int) -> Pipeline:
    """The coarse network of the shipped recipe, taught by phantoms alone."""
    recipe = read_recipe(RECIPE)
    coarse = recipe.stage("coarse")
    coarse = replace(coarse, training=replace(coarse.training, steps=steps))
    device = choose_device()
    trained = train_stage(coarse, cases, folder / "coarse", recipe.seed, device, Progress(ProgressBar()))
    recipe = replace(recipe, stages=(coarse,), model={**recipe.model, "name": "phantom-taught"})
    return Pipeline(load_package(publish(recipe, {"coarse": trained.weights}, cases, folder, device)), device)


def on_phantom(model: str, case: Case) -> CaseReport:
    """Report of a model on one phantom."""
    result = segment(read_volume(case.image), list(ORGANS), model)
    return evaluate(result.labels, read_label_map(case.label), ORGANS, case=case.name)


def print_scores(reports: list) -> None:
    """A line per case, then the means."""
    scores: dict[str, list[float]] = {}
    for report in reports:
        line = {name: round(label.measures["dice"], 3) for name, label in report.labels.items()}
        print(f"  {report.case:16}", line)
        for name, value in line.items():
            scores.setdefault(name, []).append(value)
    print("  mean", {name: f"{np.mean(values):.3f} (n = {len(values)})" for name, values in scores.items()})


if __name__ == "__main__":
    main()
