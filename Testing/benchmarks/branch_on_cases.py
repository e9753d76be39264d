"""How well a branch of a co-training does, as it is, on the held-out cases of a data set that it has not learned from.

python Testing/benchmarks/branch_on_cases.py Resources/Recipes/phantoms8.json runs/phantoms8/run liver \
    docs/experiments/transfer-liver-cases.json liver "[4.5, 4.5, 6.0]"

Found is whatever the branch finds, all of its labels together: its left and right lung are the data set's lungs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from Med3DCore.inference.device import choose_device
from Med3DCore.inference.sliding_window import sliding_window
from Med3DCore.networks import build_network
from Med3DCore.preprocessing import Preprocessing
from Med3DCore.training.cases.case import UNKNOWN
from Med3DCore.training.cases.prepared import prepare_case
from Med3DCore.training.co_training.domains import read_co_training
from Med3DCore.training.data_sets import read_data_set


def load_branch(recipe: Path, run: Path, name: str) -> tuple[torch.nn.Module, dict]:
    """A branch on its encoder, with the averaged weights, and its normalisation."""
    stage = next(domain.recipe.stage for domain in read_co_training(recipe).domains if domain.name == name)
    state = torch.load(run / "checkpoint.pt", weights_only=True, map_location="cpu")["averaged"]
    own = f"branches.{name}."
    weights = {key: value for key, value in state.items() if key.startswith("encoder.")}
    weights |= {"decoder." + key.removeprefix(own): value for key, value in state.items() if key.startswith(own)}
    network = build_network(stage.network)
    network.load_state_dict(weights)
    return network.eval(), stage.preprocessing["intensity"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="of the co-training")
    parser.add_argument("run", type=Path, help="its folder")
    parser.add_argument("branch", help="the domain's name")
    parser.add_argument("data", type=Path, help="a data set")
    parser.add_argument("label", help="of the data set")
    parser.add_argument("spacing", type=json.loads, help="of the network's grid, [x, y, z] in mm")
    args = parser.parse_args()
    label = args.label
    network, intensity = load_branch(args.recipe, args.run, args.branch)
    preprocessing = Preprocessing.from_dict({"spacing": args.spacing, "intensity": intensity})
    for case in read_data_set(args.data):
        if case.split == "validation":
            prepared = prepare_case(case, preprocessing, [label])
            image = preprocessing.intensity.apply(prepared.image, prepared.statistics)
            likely = sliding_window(network, image, (48, 48, 48), choose_device("cpu"), "sigmoid", overlap=0.25)
            target = prepared.target[0]
            found, truth = (likely.max(axis=0) > 0.5) & (target != UNKNOWN), target == 1
            print(f"{case.name}: Dice {2 * (found & truth).sum() / (found.sum() + truth.sum()):.4f}")
