"""Pictures a second of ``med3d pretrain-2d`` beside a plain PyTorch loop with the same network, both reading from disk.

    python Testing/benchmarks/bench_pictures.py FOLDER_OR_ZIP [--steps 20] [--json FILE]

The plain loop is what one writes first: Pillow, a float tensor for each picture, torch's own Conv3d, float32, SGD. A
second plain loop uses autocast in the same precision as ours. All take turns, step by step, so that another program on
the computer slows all alike; the first two steps of each are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from Med3DCore.inference.device import choose_device
from Med3DCore.networks.conv import Conv3d
from Med3DCore.training.learning.optimization import ParameterGroup, make_optimizer
from Med3DCore.training.pictures.decode import load, open_picture
from Med3DCore.training.pictures.picture_set import read_picture_set
from Med3DCore.training.pictures.pre_training import PicturePreTraining
from Med3DCore.training.pictures.recipe import read_picture_recipe

RECIPE = Path(__file__).parents[2] / "Resources" / "Recipes" / "pictures-small.json"
_NOT_COUNTED = 2


class Plain:
    """A loop of a page: load, crop, flip, normalise, stack, step."""

    def __init__(self, task: PicturePreTraining, autocast: bool) -> None:
        self.task, self.autocast, self.views = task, autocast, task.recipe.views
        self.network = task.build()
        for module in self.network.modules():
            if isinstance(module, Conv3d):
                module.__class__ = nn.Conv3d
        self.optimizer = torch.optim.SGD(self.network.parameters(), 0.01, 0.9, weight_decay=1e-4)

    def picture(self, number: int, rng: np.random.Generator) -> torch.Tensor:
        one = self.task.training[number % len(self.task.training)]
        image = load(open_picture(self.task.pictures.source.read(one.name), one.name), one.name).convert("RGB")
        box = self.views._random_box(*image.size, rng)
        array = np.asarray(
            image.crop((round(box[0]), round(box[1]), round(box[2]), round(box[3]))).resize((self.views.size,) * 2)
        )
        tensor = torch.from_numpy(array.copy()).permute(2, 0, 1).float()
        tensor = tensor.flip(2) if rng.random() < 0.5 else tensor
        return (tensor[torch.randperm(3)] - self.views.mean) / self.views.deviation

    def step(self, number: int) -> None:
        rng, batch = np.random.default_rng(number), self.task.recipe.training.batch
        numbers = range(number * batch, (number + 1) * batch)
        images = torch.stack([self.picture(one, rng) for one in numbers])[:, None]
        kinds = torch.tensor([self.task.training[one % len(self.task.training)].kind for one in numbers])
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            logits = self.network(images)
        functional.cross_entropy(logits.float(), kinds, label_smoothing=0.1).backward()
        self.optimizer.step()


class Ours:
    """The task as the training loop drives it."""

    def __init__(self, task: PicturePreTraining) -> None:
        self.task, self.device = task, choose_device("cpu")
        self.network = task.build()
        self.device.place(self.network)
        self.optimizer = make_optimizer("sgd", [ParameterGroup(tuple(self.network.parameters()))], 0.01, 1e-4)

    def step(self, number: int) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.task.loss(self.network, self.task.draw(number), self.device).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1e6)
        self.optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    task = PicturePreTraining(read_picture_recipe(args.recipe), read_picture_set(args.pictures))
    loops: dict[str, Ours | Plain] = {
        "med3d": Ours(task),
        "plain": Plain(task, False),
        "plain, autocast": Plain(task, True),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(args.steps + _NOT_COUNTED):
        for name, loop in loops.items():
            begin = time.perf_counter()
            loop.step(number)
            seconds[name].append(time.perf_counter() - begin)
    batch = task.recipe.training.batch
    rates = {name: batch / float(np.median(times[_NOT_COUNTED:])) for name, times in seconds.items()}
    for name, rate in rates.items():
        print(f"{name}: {rate:.0f} pictures/s, med3d is {rates['med3d'] / rate:.2f} times as fast")
    if args.json:
        found = {"threads": torch.get_num_threads(), "load": os.getloadavg()[0], "rates": rates, "seconds": seconds}
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
