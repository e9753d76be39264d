"""Move where a stage of a model draws the line, without training: from a probability of 0.5 to another one.

    python tools/shift_threshold.py Resources/Models/liver-lungs-0.3.2.med3d.zip lungs 0.4 shifted.med3d.zip
    med3d train Resources/Recipes/liver-lungs.json runs/data/dataset.json -o runs/shifted --init shifted.med3d.zip

What was more likely than the threshold is more likely than 0.5 in the new model: the bias of its logits grows by
ln((1 - t) / t), and nothing else changes. The second line measures it and writes its card.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from Med3DCore.models.package import load_package, save_package


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("stage", help="its name; of independent labels (sigmoid)")
    parser.add_argument("threshold", type=float, help="more than 0 and less than 1")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    package = load_package(arguments.model)
    stage = next(stage for stage in package.stages if stage.name == arguments.stage)
    if stage.activation != "sigmoid":
        parser.error(f"the stage '{stage.name}' has exclusive labels, so it has no threshold")
    weights = {part: package.read_weights(part) for part in package.parts}
    shift = math.log((1 - arguments.threshold) / arguments.threshold)
    biases = [name for name in weights[stage.name] if name.endswith("decoder.logits.0.bias")]
    for name in biases:
        weights[stage.name][name] += shift
    print(
        f"{', '.join(biases)} of '{stage.name}': {shift:+.4f}; wrote {save_package(package, weights, arguments.output)}"
    )


if __name__ == "__main__":
    main()
