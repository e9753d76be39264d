"""How long `med3d detect` looks at a CT of 512 x 512 x 300, with the network of detection-small.json.

The weights are random: time depends on them only by the number of boxes, which `proposals` limits.

    python Testing/benchmarks/bench_detect.py [--threads 2]
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from Med3DCore.geometry import Geometry
from Med3DCore.inference.detect import Detector
from Med3DCore.inference.device import choose_device
from Med3DCore.models.package_file import load_package, save_package
from Med3DCore.networks import build_network
from Med3DCore.training.learning.recipe import package_of, read_recipe
from Med3DCore.volume import Volume

RECIPE = Path(__file__).parents[2] / "Resources" / "Recipes" / "detection-small.json"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    recipe = read_recipe(RECIPE)
    stage = recipe.stages[0].stage
    package = package_of(recipe.model, stages=(stage,))
    rng = np.random.default_rng(0)
    hu = rng.integers(-100, 100, (300, 512, 512), dtype=np.int16)
    volume = Volume(hu, Geometry((512, 512, 300), (0.7, 0.7, 1.0)), "noise")
    with tempfile.TemporaryDirectory() as folder:
        path = save_package(package, {stage.name: build_network(stage.network).state_dict()}, Path(folder))
        detector = Detector(load_package(path), choose_device("cpu"))
        begin, busy = time.perf_counter(), time.process_time()
        detector.detect(volume, least_score=0.99)
        seconds, cpu = time.perf_counter() - begin, time.process_time() - busy
    print(json.dumps({"seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "threads": args.threads}))


if __name__ == "__main__":
    main()
