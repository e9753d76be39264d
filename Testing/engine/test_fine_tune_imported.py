"""A model of nnU-Net is taught more of its own labels; what nobody drew is not unlearned."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from nnunet_folders import write_results
from training_boxes import boxes

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Geometry
from Med3DCore.inference.device import Device
from Med3DCore.models.nnunet.importing import import_nnunet
from Med3DCore.models.package_file import load_package, save_package
from Med3DCore.preprocessing.nnunet.intensity import ChannelIntensity
from Med3DCore.preprocessing.nnunet.preprocessing import NnunetPreprocessing
from Med3DCore.training.fine_tuning.fine_tune import fine_tune
from Med3DCore.training.fine_tuning.run_folder import TuneSettings
from Med3DCore.training.learning.losses import exclusive_label_loss, marginal_label_loss
from Med3DCore.volume import Volume

CPU = Device("cpu", "CPU", torch.float32, "test")
TURNED = (0, 0, 1, -1, 0, 0, 0, -1, 0)


@pytest.fixture(autouse=True)
def own_models(tmp_path, monkeypatch):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    torch.set_num_threads(1)


def imported(folder, **changes):
    package, weights = import_nnunet(write_results(folder / "results", spacing=(4.0, 4.0, 4.0), **changes))
    return load_package(save_package(package, weights, folder, half=False))


@pytest.mark.parametrize(
    ("direction", "orientation"), [(TURNED, "stored"), (TURNED, "RAS"), ((1, 0, 0, 0, 1, 0, 0, 0, 1), "RAS")]
)
@pytest.mark.parametrize("transpose", [(0, 1, 2), (1, 2, 0)])
def test_the_network_s_grid_in_space(direction, orientation, transpose):
    """Positions along each patient's axis, resampled as an image, are those of the grid's voxels."""
    geometry = Geometry((20, 24, 16), (2.0, 3.0, 4.0), (5.0, -30.0, 12.0), direction)
    z, y, x = np.indices(geometry.shape)
    places = np.einsum("ij,j...->i...", geometry.index_to_physical[:3], np.stack([x, y, z, np.ones_like(x)]))
    made = NnunetPreprocessing(
        (3.0, 2.5, 3.5),
        (ChannelIntensity("none"),),
        transpose,
        orientation,
        image=replace(NnunetPreprocessing.logits, order=1),
    )
    for axis in range(3):
        volume = Volume((places[axis] + 1000).astype(np.float32), geometry)
        frame = made.frame([volume])
        (array,) = made.apply([volume], frame)
        grid = frame.geometry(geometry)
        assert grid.shape == array.shape
        z, y, x = np.indices(grid.shape)
        expected = np.einsum("j,j...->...", grid.index_to_physical[axis], np.stack([x, y, z, np.ones_like(x)]))
        inner = (slice(2, -2),) * 3  # an image ends at the centres of its outermost voxels
        assert np.abs(array - 1000 - expected)[inner].max() < 1e-3


def test_the_marginal_loss():
    torch.manual_seed(0)
    logits = torch.randn(2, 6, 3, 4, 5, requires_grad=True)
    target = torch.randint(0, 2, (2, 2, 3, 4, 5), dtype=torch.uint8)
    target[:, 1][target[:, 0] == 1] = 0
    every = torch.cat([target[:, :1], target[:, 1:]], dim=1)
    # With all labels in the target, it is the loss of exclusive labels.
    few = logits[:, [0, 3, 5]]
    assert torch.allclose(marginal_label_loss(few, every, [1, 2]), exclusive_label_loss(few, every), atol=1e-5)

    target[0, 0] = 255
    target[0, 0, 0] = 1
    target[0, 1, 0] = 0
    loss = marginal_label_loss(logits, target, [3, 5])
    p, entropy = logits.softmax(dim=1), []
    for n, z, y, x in np.ndindex(2, 3, 4, 5):
        drawn = {3: int(target[n, 0, z, y, x]), 5: int(target[n, 1, z, y, x])}
        inside = [c for c, value in drawn.items() if value == 1]
        possible = inside or [c for c in range(6) if drawn.get(c, 255) == 255]
        entropy.append(-p[n, possible, z, y, x].sum().log())
    dice = []
    for channel, t in ((3, target[:, 0]), (5, target[:, 1])):
        q = p[:, channel] * (t != 255)
        dice.append((2 * (q * (t == 1)).sum() + 1) / (q.sum() + (t == 1).sum() + 1))
    assert torch.allclose(loss, torch.stack(entropy).mean() + 1 - torch.stack(dice).mean(), atol=1e-5)

    # Outside of what is drawn, no other class is pushed down, the background no more asked for than any.
    target = torch.zeros(2, 2, 3, 4, 5, dtype=torch.uint8)
    (gradient,) = torch.autograd.grad(marginal_label_loss(logits, target, [3, 5]), logits)
    assert (gradient[:, [0, 1, 2, 4]] <= 0).all() and (gradient[:, [3, 5]] >= 0).all()
    nothing = torch.full_like(target, 255)
    (gradient,) = torch.autograd.grad(marginal_label_loss(logits, nothing, [3, 5]), logits)
    assert not gradient.any()


def test_one_of_three_labels_is_taught_and_the_others_stay(tmp_path):
    parent = imported(tmp_path, folds=1)
    cases = [replace(case, annotated=("liver",)) for case in boxes(tmp_path)]
    settings = TuneSettings(
        "Mine", minutes=1e6, device="cpu", training={"steps": 30, "batch": 2, "learning_rate": 1e-2}
    )
    tuned = fine_tune(parent, cases, tmp_path / "run", settings)
    package = load_package(tuned.package)
    package.verify()
    assert package.label_names == parent.label_names and package.stages == parent.stages
    assert package.parent == parent.reference and tuned.way == 0.5 and tuned.steps == 30
    before, after = (each.read_weights("nnunet") for each in (parent, package))
    assert all(not torch.equal(before[name], after[name]) for name in before if name.endswith("conv.weight"))
    losses = [json.loads(line) for line in (tmp_path / "run" / "nnunet" / "log.jsonl").read_text().splitlines()]
    losses = [entry["loss"] for entry in losses if "loss" in entry]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:3]), losses
    assert set(tuned.before) == set(tuned.after) == {"liver"} and set(tuned.kept) == {"spleen", "ball"}


def test_a_model_of_several_images_cannot_be_taught(tmp_path):
    parent = imported(tmp_path, schemes=("CTNormalization",) * 2)
    settings = TuneSettings(minutes=1e6, device="cpu", training={"steps": 2})
    with pytest.raises(SettingError, match=r"takes 2 images of a patient"):
        fine_tune(parent, boxes(tmp_path, annotated=("liver",)), tmp_path / "run", settings)
    assert not (tmp_path / "run" / "tuning.json").exists()
