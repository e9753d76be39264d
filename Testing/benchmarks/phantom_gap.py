"""How real are the phantoms? Train on one world, test on the other.

    python Testing/benchmarks/phantom_gap.py runs/data/dataset.json -o runs/phantom-gap

Makes 24 phantoms (different patients, regions, phases, noise), trains the coarse stage of the shipped recipe on them
alone and measures it on the real validation cases; and measures the shipped model, which saw real CTs alone, on six
more phantoms. Prints Dice per case.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from Med3DCore.cli.console import ProgressBar
from Med3DCore.evaluation import CaseReport, evaluate
from Med3DCore.inference.device import choose_device
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.inference.segment import segment
from Med3DCore.io import read_label_map, read_volume, write_label_map, write_volume
from Med3DCore.models.package import load_package
from Med3DCore.phantom import CONTRASTS, PhantomSettings, make_phantom, merge_lungs
from Med3DCore.progress import Progress
from Med3DCore.training.cases import Case, read_cases
from Med3DCore.training.publish import measure_case, publish
from Med3DCore.training.recipe import read_recipe
from Med3DCore.training.trainer import train_stage

RECIPE = Path(__file__).resolve().parents[2] / "Resources" / "Recipes" / "liver-lungs.json"
ORGANS = {"liver": 1, "lungs": 2}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path, help="data set description of real cases")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=500)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    phantoms = write_phantoms(arguments.output, 30)
    print("real CTs -> phantoms (the shipped model)")
    print_scores([shipped_on_phantom(case) for case in read_cases(phantoms) if case.split == "validation"])
    print("phantoms -> real CTs (one coarse network)")
    pipeline = train_on_phantoms(read_cases(phantoms), arguments.output, arguments.steps)
    real = [case for case in read_cases(arguments.real) if case.split == "validation"]
    print_scores([measure_case(pipeline, case) for case in real])


def write_phantoms(folder: Path, count: int) -> Path:
    """Write phantoms and their data set description; every fifth is held out."""
    path = folder / "dataset.json"
    if path.exists():
        return path
    entries = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        settings = PhantomSettings(
            spacing=(3.0, 3.0, float(rng.choice([3.0, 5.0]))),
            region=str(rng.choice(["torso", "chest", "abdomen"])),
            contrast=str(rng.choice([name for name in CONTRASTS if not name.startswith("mr")])),
            noise_hu=float(rng.uniform(5, 30)),
        )
        phantom = make_phantom(seed, settings)
        name = f"phantom{seed:02}"
        labels = merge_lungs(phantom.labels)
        array = np.zeros_like(labels.array)
        for organ, value in ORGANS.items():
            array[labels.mask(organ)] = value
        write_volume(phantom.ct, folder / f"{name}_ct.nii.gz")
        write_label_map(replace(labels, array=array), folder / f"{name}_seg.nii.gz")
        files = {"image": f"{name}_ct.nii.gz", "label": f"{name}_seg.nii.gz", "values": ORGANS}
        entries.append({"name": name, **files, "split": "validation" if seed % 5 == 4 else "training"})
    path.write_text(json.dumps({"cases": entries}, indent=1))
    return path


def train_on_phantoms(cases: list, folder: Path, steps: int) -> Pipeline:
    """The coarse network of the shipped recipe, taught by phantoms alone."""
    recipe = read_recipe(RECIPE)
    coarse = recipe.stage("coarse")
    coarse = replace(coarse, training=replace(coarse.training, steps=steps))
    device = choose_device()
    trained = train_stage(coarse, cases, folder / "coarse", recipe.seed, device, Progress(ProgressBar()))
    recipe = replace(recipe, stages=(coarse,), model={**recipe.model, "name": "phantom-taught"})
    return Pipeline(load_package(publish(recipe, {"coarse": trained.weights}, cases, folder, device)), device)


def shipped_on_phantom(case: Case) -> CaseReport:
    """Report of the shipped model on one phantom."""
    result = segment(read_volume(case.image), list(ORGANS))
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
