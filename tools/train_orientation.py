"""Train the networks of Med3DCore/inference/orientation.py again: python tools/train_orientation.py ../shared/data

Reads every CT of the data folder at 5 mm and 60 phantoms, draws views (parts, turned, scaled, windowed, noisy, with a
table before or behind), and teaches one network for each sixth of the patients without that sixth. A view's eight flips
are eight answers of which the first is right (cross-entropy over the flips). Two cores: some 15 minutes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from Med3DCore.inference.orientation import FLIPS, SPACING_MM, WEIGHTS, body_only, channels, flipped, moments, pooled
from Med3DCore.io import read_volume
from Med3DCore.phantom import PhantomSettings, make_phantom
from Med3DCore.preprocessing import resample
from Med3DCore.preprocessing.spacing import world_grid
from Med3DCore.volume import Volume

FOLDS, PHANTOMS, VIEWS, VIEWS_OF_PHANTOM = 6, 60, 150, 30
CHANNELS = (8, 12, 16, 16)
FINE_MM = 5.0
LARGEST = (36, 30, 46)


class Network(nn.Module):
    """The shipped network with batch norm, which :func:`folded` takes into the convolutions."""

    def __init__(self) -> None:
        super().__init__()
        ins = (3, *CHANNELS[:-1])
        self.convs = nn.ModuleList(
            nn.Conv3d(a, b, 3, stride, 1, bias=False) for a, b, stride in zip(ins, CHANNELS, (2, 2, 1, 1), strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm3d(c) for c in CHANNELS)
        self.head = nn.Linear(9 * CHANNELS[-1], 1, bias=False)

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Views ``[n, 3, z, y, x]`` with their moments to log-odds ``[n]``."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = functional.relu(norm(conv(x)))
        return self.head(functional.dropout(pooled(x, weights), 0.2, self.training))[:, 0]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with index.json and CASE_ct.nii.gz")
    parser.add_argument("-o", "--output", type=Path, default=WEIGHTS)
    parser.add_argument("--steps", type=int, default=500)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(5)
    facts = json.loads((arguments.data / "index.json").read_text())
    patient_of = {case: fact["patient"] for case, fact in facts.items()}
    views: dict[str, list[np.ndarray]] = {}
    for case, patient in patient_of.items():
        scan = fine(read_volume(arguments.data / f"{case}_ct.nii.gz"))
        views.setdefault(patient, []).extend(draw_views(scan, VIEWS, rng))
    phantoms = [view for seed in range(PHANTOMS) for view in draw_views(phantom(seed, rng), VIEWS_OF_PHANTOM, rng)]
    patients = sorted(views)
    np.random.default_rng(0).shuffle(patients)
    folds = [set(patients[fold::FOLDS]) for fold in range(FOLDS)]
    networks = []
    for fold, left_out in enumerate(folds):
        taught = [views[patient] for patient in patients if patient not in left_out]
        networks.append(folded(fit(taught, phantoms, arguments.steps, fold)))
    stacked = {name: np.stack([network[name] for network in networks]) for name in networks[0]}
    fold_of = {patient: fold for fold, group in enumerate(folds) for patient in group}
    left_out = [[case, str(fold_of[patient])] for case, patient in patient_of.items()]
    np.savez(arguments.output, left_out=np.array(left_out), **stacked)  # type: ignore[arg-type] # no name is allow_pickle
    print(f"wrote {arguments.output}; measure it with Testing/benchmarks/orientation.py")


def fine(volume: Volume) -> np.ndarray:
    """A scan at 5 mm along the patient's axes, HU."""
    return resample(volume.array, volume.geometry, world_grid(volume.geometry, (FINE_MM,) * 3), (-1024, 1500), -1000.0)


def phantom(seed: int, rng: np.random.Generator) -> np.ndarray:
    """A made-up torso, chest or abdomen at 5 mm."""
    settings = PhantomSettings(
        spacing=(FINE_MM,) * 3,
        region=str(rng.choice(["torso", "torso", "chest", "abdomen"])),
        size=str(rng.choice(["small", "medium", "large"])),
        contrast=str(rng.choice(["native", "arterial", "portal"])),
        arms=str(rng.choice(["up", "down"])),
        table=bool(rng.random() < 0.6),
    )
    return fine(make_phantom(1000 + seed, settings).ct)


def draw_views(scan: np.ndarray, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Bodies at 12 mm, int16, as :func:`Med3DCore.inference.orientation.body_only` cuts them."""
    drawn = (body_only(changed(view(scan, rng), rng)) for _ in range(count))
    return [body.astype(np.int16) for body in drawn if body is not None and min(body.shape) >= 6]


def view(scan: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A part of a scan, turned by some degrees and scaled, at 12 mm."""
    size = np.array(scan.shape) * FINE_MM
    length = min(size[0], LARGEST[0] * SPACING_MM - SPACING_MM)
    if length > 110 and rng.random() < 0.6:
        length = rng.uniform(100, length)
    low, high = np.zeros(3), size.copy()
    low[0] = rng.uniform(0, size[0] - length)
    high[0] = low[0] + length
    scale = rng.uniform(0.85, 1.15) * np.exp(rng.normal(0, 0.05, 3))
    shape = np.minimum(np.ceil((high - low) * scale / SPACING_MM).astype(int), LARGEST)
    axes = [(np.arange(n) - (n - 1) / 2) * SPACING_MM for n in shape]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1) / scale @ rotation(rng).T
    points += (low + high) / 2 + rng.uniform(-6, 6, 3)
    grid = torch.from_numpy((points / size * 2 - 1)[..., ::-1].astype(np.float32).copy())[None]
    # From 5 to 12 mm: a mean over neighbours first.
    smooth = functional.avg_pool3d(torch.from_numpy(scan)[None, None].float(), 3, 1, 1, count_include_pad=False)
    hu = functional.grid_sample(smooth, grid, padding_mode="border", align_corners=False)[0, 0].numpy()
    hu[((points < low) | (points > high)).any(-1)] = -1000
    return hu


def rotation(rng: np.random.Generator) -> np.ndarray:
    """A rotation by some degrees about each axis."""
    (cz, cy, cx), (sz, sy, sx) = (f(np.deg2rad(rng.normal(0, 5, 3).clip(-12, 12))) for f in (np.cos, np.sin))
    about_z, about_y = [[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]], [[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]
    return np.array(about_z) @ np.array(about_y) @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])


def changed(hu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Windowed to soft tissue, brighter, noisy, with other bones, with a table before or behind."""
    chance = rng.random()
    if chance < 0.3:
        hu = np.where(hu < -160, -1000, np.minimum(hu, 240))
    elif chance < 0.5:
        hu = hu * rng.uniform(0.9, 1.1) + rng.uniform(-30, 30)
    hu = hu + rng.normal(0, rng.uniform(0, 30), hu.shape)
    if rng.random() < 0.3:
        hu = np.where(hu > 100, 100 + (hu - 100) * rng.uniform(0.3, 1.5), hu)
    rows = np.flatnonzero((hu > -400).any((0, 2)))
    if rng.random() < 0.5 and len(rows) >= 4:
        thick = int(rng.integers(1, 3))
        first = rows[-1] + 1 if rng.integers(2) else max(0, rows[0] - thick)
        table = hu[:, first : first + thick]
        table[table < -600] = rng.uniform(-900, 100)
    return hu.astype(np.float32)


def fit(taught: list[list[np.ndarray]], phantoms: list[np.ndarray], steps: int, seed: int, batch: int = 8) -> Network:
    """Teach a network; batches are of views of like shape, three in ten of phantoms."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.2)
    for step in range(steps):
        pools = [phantoms if rng.random() < 0.3 else taught[rng.integers(len(taught))] for _ in range(6 * batch)]
        candidates = [pool[rng.integers(len(pool))] for pool in pools]
        shapes = np.array([candidate.shape for candidate in candidates])
        alike = np.argsort(np.abs(np.log(shapes / shapes[0])).sum(1))[:batch]
        x, weights = placed([candidates[index] for index in alike])
        votes = network(flipped(x), weights.repeat(len(FLIPS), 1, 1, 1, 1)).view(len(FLIPS), batch).T
        loss = functional.cross_entropy(votes, torch.zeros(batch, dtype=torch.long), label_smoothing=0.02)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"network {seed}, step {step + 1}: loss {loss.item():.3f}", flush=True)
    return network.eval()


def placed(bodies: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Bodies in the middle of boxes of one size, and their moments, 0 beyond each body's own box."""
    box = np.max([body.shape for body in bodies], 0)
    x = np.zeros((len(bodies), 3, *box), np.float32)
    weights = np.zeros((len(bodies), 8, *box), np.float32)
    for index, body in enumerate(bodies):
        start = (box - body.shape) // 2
        where = tuple(slice(s, s + n) for s, n in zip(start, body.shape, strict=True))
        x[(index, slice(None), *where)] = channels(body.astype(np.float32))
        weights[(index, slice(None), *where)] = moments(body.shape)
    return torch.from_numpy(x), torch.from_numpy(weights)


def folded(network: Network) -> dict[str, np.ndarray]:
    """The weights with batch norm in the convolutions, as the engine reads them."""
    stored = {"head": network.head.weight[0].detach().numpy()}
    for layer, (conv, norm) in enumerate(zip(network.convs, network.norms, strict=True)):
        assert isinstance(norm, torch.nn.BatchNorm3d) and norm.running_var is not None
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        stored[f"weight{layer}"] = (conv.weight * gain[:, None, None, None, None]).detach().numpy().astype(np.float16)
        stored[f"bias{layer}"] = (norm.bias - norm.running_mean * gain).detach().numpy()
    return stored


if __name__ == "__main__":
    main()
