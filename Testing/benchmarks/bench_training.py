"""Steps a second of our training beside MedicalNet's own loop, written plainly: same network, patch and batch.

    python Testing/benchmarks/bench_training.py [--size 64] [--dtype fp32|bf16] [--device cpu] [--workers 0]

Ours is the whole of it: patches drawn and augmented, autocast, Dice and cross-entropy, clipping, AdamW, the running
average, log and checkpoints. The plain loop does for each item what the released code does (papers.md A3, A6): read
image and label, drop the margin, cut a random box around the label, resize both to the patch with scipy, normalise;
then cross-entropy and SGD with momentum in float32, with the network as torch builds it. Both draw in the process that
trains, unless ``--workers`` lets both draw ahead (ours in threads, the plain one in DataLoader's processes).

Where MONAI is installed, its plain loop is a second peer (:mod:`monai_loop`): patches that are cut once and kept, Dice
and cross-entropy, AdamW, float32, once without augmentation and once with affine, blur and noise as ours. Ours always
augments. MONAI is no requirement of the project; ``pip install --no-deps --target FOLDER monai``, FOLDER on PYTHONPATH.

Blocks of steps of all, and of the network alone (forward, backward and SGD on one batch that stays), take turns in one
process, so that other work on the computer slows all alike. Medians; the first block does not count. On a busy computer
look at the processor time, which on a GPU means nothing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.utils.data import DataLoader, Dataset

from Med3DCore.inference.device import choose_device
from Med3DCore.io import read_volume
from Med3DCore.networks import build_network
from Med3DCore.networks.conv import Conv3d
from Med3DCore.networks.decoders import UpsampleDecoder
from Med3DCore.phantom.data_set import write_phantom_cases
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.system.allocator import keep_freed_memory
from Med3DCore.training.cases.cache import CaseCache, prepare_cases
from Med3DCore.training.cases.case import Case
from Med3DCore.training.cases.description import case_from_dict
from Med3DCore.training.cases.prepared import Prepared
from Med3DCore.training.learning.loop import train
from Med3DCore.training.learning.recipe import StageRecipe, stage_from_dict
from Med3DCore.training.segmentation.trainer import SegmentationTask

CASES = 4
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64, help="side of the patch (default %(default)s)")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--depth", type=int, default=10, help="of the ResNet, width 64, output stride 8")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--dtype", choices=DTYPES, default="fp32", help="of our step; the plain one is fp32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--block", type=int, default=3, help="steps before the other's turn")
    parser.add_argument("--blocks", type=int, default=8)
    arguments = parser.parse_args()
    keep_freed_memory()  # as the command does; both profit
    folder = Path(tempfile.gettempdir()) / "med3d-bench" / "training"
    folder.mkdir(parents=True, exist_ok=True)
    cases = [case_from_dict(entry, folder) for entry in write_phantom_cases(folder, CASES)]
    times = take_turns(arguments, cases, folder)
    print(
        f"ResNet-{arguments.depth} of width {arguments.width}, patch {arguments.size}^3, batch {arguments.batch}; "
        f"ours in {arguments.dtype}; {arguments.device}, {torch.get_num_threads()} threads, {len(times['ours'])} steps"
    )
    print(f"{'':14}{'steps/s':>8}{'s a step':>10}{'quartiles':>18}{'processor s a step':>20}{'quartiles':>18}")
    for name, values in times.items():
        first, middle, third = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
        spread = [f"{low:.3f} to {high:.3f}" for low, high in zip(first, third, strict=True)]
        wall, work = middle
        print(f"{name:14}{1 / wall:8.3f}{wall:10.3f}{spread[0]:>18}{work:20.3f}{spread[1]:>18}")
    medians = {name: np.median(values, axis=0) for name, values in times.items()}
    ours, plain, network, drawing = (medians[name] for name in ("ours", "plain", "network", "ours, drawing"))
    for place, unit in enumerate(("by the clock", "by processor time")):
        print(
            f"{unit}: ours {plain[place] / ours[place]:.2f} x as fast as plain; network alone / whole step: ours "
            f"{network[place] / ours[place]:.0%}, plain {network[place] / plain[place]:.0%}; our drawing "
            f"{drawing[place] / ours[place]:.0%}"
            + "".join(
                f"; {medians[name][place] / ours[place]:.2f} x as fast as {name}" for name in times if "MONAI" in name
            )
        )


def now() -> np.ndarray:
    """Seconds by the clock, and of this process's processor time."""
    return np.array([time.perf_counter(), time.process_time()])


def take_turns(arguments: argparse.Namespace, cases: list[Case], folder: Path) -> dict[str, list[np.ndarray]]:
    """Times as of :func:`now` of every step of ``"ours"``, ``"plain"`` and ``"network"``, and of our drawing."""
    recipe, device = make_recipe(arguments), choose_device(arguments.device)
    device = replace(device, dtype=DTYPES[arguments.dtype])
    stage = recipe.stage
    prepared = prepare_cases(
        cases, Preprocessing.from_dict(stage.preprocessing), stage.labels, CaseCache(folder / "cache")
    )
    drawing: list[np.ndarray] = []

    class Timed(SegmentationTask):
        def draw(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
            begin = now()
            batch = super().draw(number)
            drawing.append(now() - begin)
            return batch

    network, others = stage.network, device.torch_device
    plain = timed(plain_steps(cases, network, arguments, others), others)
    alone = timed(network_steps(network, arguments, others), others)
    peers = {"plain": plain, "network": alone, **monai_peers(arguments, recipe, prepared, others)}
    times: dict[str, list[np.ndarray]] = {"ours": [], **{name: [] for name in peers}}
    begin = now()

    def after_step(_stage: str, step: int, loss: float | None, *_validation: dict | None) -> None:
        nonlocal begin
        if loss is None:
            return
        times["ours"].append(now() - begin)
        if step % arguments.block == 0:
            for name, peer in peers.items():
                times[name] += [peer() for _ in range(arguments.block)]
        begin = now()

    task = Timed(recipe, prepared, seed=1, initial=None)
    with tempfile.TemporaryDirectory() as run:
        progress = Progress(on_metric=after_step)
        train(task, recipe.training, Path(run), 1, device, progress, workers=arguments.workers)
    return {name: values[arguments.block :] for name, values in {**times, "ours, drawing": drawing}.items()}


def monai_peers(
    arguments: argparse.Namespace, recipe: StageRecipe, prepared: Sequence[Prepared], device: torch.device
) -> dict[str, Callable[[], np.ndarray]]:
    """MONAI's loop without and with augmentation; none where it is not installed."""
    if find_spec("monai") is None:
        return {}
    from monai_loop import monai_steps

    intensity = Preprocessing.from_dict(recipe.stage.preprocessing).intensity
    return {
        name: timed(
            monai_steps(
                plain_network(recipe.stage.network, device)[0],
                prepared,
                intensity,
                arguments.size,
                arguments.batch,
                augmentation,
                device,
            ),
            device,
        )
        for name, augmentation in (("MONAI", None), ("MONAI, augm.", recipe.training.augmentation))
    }


def timed(steps: Iterator[None], device: torch.device) -> Callable[[], np.ndarray]:
    """A function that does the next step and gives its times."""

    def step() -> np.ndarray:
        begin = now()
        next(steps)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return now() - begin

    return step


def make_recipe(arguments: argparse.Namespace) -> StageRecipe:
    """Liver and lungs at 2.5 mm."""
    encoder = {"name": "resnet", "depth": arguments.depth, "width": arguments.width}
    return stage_from_dict(
        {
            "name": "bench",
            "network": {"encoder": encoder, "decoder": {"name": "upsample"}, "out_channels": 2},
            "preprocessing": {"spacing": [2.5] * 3, "intensity": {"name": "window", "low": -160, "high": 240}},
            "labels": ["liver", "lungs"],
            "activation": "sigmoid",
            "window": [arguments.size] * 3,
            "training": {
                "steps": arguments.block * (arguments.blocks + 1),
                "batch": arguments.batch,
                "patch": [arguments.size] * 3,
                "validate_every": 1_000_000,
            },
        }
    )


# -- MedicalNet's loop, plainly ---------------------------------------------------------------------------------------


class PlainDataSet(Dataset):
    """Each item is read anew, cut around its label and resized to the patch."""

    def __init__(self, cases: list[Case], size: int, repeats: int) -> None:
        self.cases, self.size, self.repeats = cases, size, repeats
        self.rng = np.random.default_rng()

    def __len__(self) -> int:
        return len(self.cases) * self.repeats

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        case = self.cases[index % len(self.cases)]
        image = read_volume(case.image).array.astype(np.float32)
        label = (read_volume(case.label).array == case.values["liver"]).astype(np.uint8)
        image, label = cut(image, label, bounds(image != image[0, 0, 0]))
        low, high = bounds(label > 0)
        first = (low * self.rng.random(3)).astype(int)
        last = (high + (np.array(label.shape) - high) * self.rng.random(3)).astype(int)
        image, label = cut(image, label, (first, last))
        factors = [self.size / n for n in image.shape]
        image, label = (ndimage.zoom(array, factors, order=0) for array in (image, label))
        inside = image[image > 0]
        normal = (image - inside.mean()) / inside.std()
        normal[image == 0] = self.rng.standard_normal(image.shape)[image == 0]
        return torch.from_numpy(normal[None].astype(np.float32)), torch.from_numpy(label.astype(np.int64))


def bounds(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last place (z, y, x) of what is True."""
    places = np.where(mask)
    return np.array([p.min() for p in places]), np.array([p.max() for p in places])


def cut(image: np.ndarray, label: np.ndarray, box: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Both within a box."""
    part = tuple(slice(a, b) for a, b in zip(*box, strict=True))
    return image[part], label[part]


def plain_steps(
    cases: list[Case], description: dict, arguments: argparse.Namespace, device: torch.device
) -> Iterator[None]:
    """Read, resize, forward, cross-entropy, backward, SGD."""
    data = PlainDataSet(cases, arguments.size, repeats=10_000)
    loader = DataLoader(data, arguments.batch, shuffle=True, num_workers=arguments.workers)
    network, optimizer = plain_network(description, device)
    for image, label in loader:
        plain_step(network, optimizer, image.to(device), label.to(device))
        yield


def network_steps(description: dict, arguments: argparse.Namespace, device: torch.device) -> Iterator[None]:
    """The same without reading and resizing."""
    network, optimizer = plain_network(description, device)
    shape = (arguments.size,) * 3
    image = torch.randn(arguments.batch, 1, *shape, device=device)
    label = torch.randint(2, (arguments.batch, *shape), device=device)
    while True:
        plain_step(network, optimizer, image, label)
        yield


def plain_network(description: dict, device: torch.device) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Network and optimizer with MedicalNet's settings, and torch's own convolutions and up-sampling."""
    network = build_network(description).to(device).train()
    for module in network.modules():
        if isinstance(module, Conv3d):
            module.forward = partial(nn.Conv3d.forward, module)
        elif isinstance(module, UpsampleDecoder):
            module.forward = partial(torch_upsample, module)
    return network, torch.optim.SGD(network.parameters(), 0.001, momentum=0.9, weight_decay=1e-3)


def torch_upsample(decoder: UpsampleDecoder, features: Sequence[torch.Tensor], size: Sequence[int]) -> torch.Tensor:
    """As :class:`UpsampleDecoder`, out of torch alone."""
    return nn.functional.interpolate(decoder.logits(features[-1]), size, mode="trilinear", align_corners=False)


def plain_step(network: nn.Module, optimizer: torch.optim.Optimizer, image: torch.Tensor, label: torch.Tensor) -> None:
    """Forward, backward, step."""
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network(image), label)
    loss.backward()
    optimizer.step()
    loss.item()


if __name__ == "__main__":
    main()
