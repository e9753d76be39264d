"""Import of MedicalNet and Kinetics checkpoints: all of the encoder or nothing."""

import gzip
import io
import os
from collections import OrderedDict

import pytest
import torch

from Med3DCore.errors import ModelError, SettingError
from Med3DCore.models import load_package, save_package
from Med3DCore.models.checkpoints import adapt_channels, encoder_package, import_checkpoint
from Med3DCore.models.weights import load_into
from Med3DCore.networks.preact_resnet import PreActResNetEncoder
from Med3DCore.networks.resnet import ResNetEncoder

# papers.md A4: encoder keys including num_batches_tracked.
KEYS = {(10, "A"): 54, (10, "B"): 72, (18, "A"): 102, (34, "B"): 216, (50, "A"): 294, (50, "B"): 318, (200, "B"): 1218}


def make_encoder(depth=10, shortcut="B", in_channels=1, width=2, seed=0):
    torch.manual_seed(seed)
    encoder = ResNetEncoder(depth, in_channels, shortcut, width=width)
    for key, value in encoder.state_dict().items():
        if "running_var" in key:
            value.uniform_(0.5, 2)
    return encoder


def make_file(path, state_dict, prefix="module.", legacy=True, wrap=True, **extra):
    """A file as MedicalNet's training wrote it."""
    tensors = OrderedDict({prefix + key: value for key, value in state_dict.items()} | extra)
    optimizer = {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    content = {"epoch": 3, "state_dict": tensors, "optimizer": optimizer} if wrap else tensors
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize(("depth", "shortcut"), KEYS)
def test_all_of_a_medicalnet_file_arrives(tmp_path, depth, shortcut):
    original = make_encoder(depth, shortcut)
    path = make_file(tmp_path / "resnet.pth", original.state_dict())
    imported = import_checkpoint(path)
    assert (imported.depth, imported.shortcut, imported.width) == (depth, shortcut, 2)
    assert imported.report.matched == KEYS[depth, shortcut]
    assert (imported.report.added, imported.report.ignored, imported.report.source) == (0, (), "resnet.pth")
    network = ResNetEncoder(depth, 1, shortcut, width=imported.width)
    load_into(network, imported.state_dict, "test")
    arrived = network.state_dict()
    assert all(torch.equal(value, arrived[key]) for key, value in original.state_dict().items())


@pytest.mark.parametrize("options", [
    {"prefix": ""}, {"prefix": "backbone."}, {"prefix": "module.backbone."}, {"legacy": False}, {"wrap": False},
    {"prefix": "", "legacy": False, "wrap": False},
])  # fmt: skip
def test_other_layouts_of_the_file(tmp_path, options):
    state_dict = make_encoder().state_dict()
    imported = import_checkpoint(make_file(tmp_path / "a.pth", state_dict, **options))
    assert imported.report.matched == 72
    assert all(torch.equal(imported.state_dict[key], value) for key, value in state_dict.items())


def test_published_width(tmp_path):
    imported = import_checkpoint(make_file(tmp_path / "a.pth", make_encoder(width=64).state_dict()))
    assert imported.width == 64
    assert (
        sum(value.numel() for key, value in imported.state_dict.items() if "running" not in key and "num_" not in key)
        == 14_355_520
    )


def test_batch_counters_are_optional(tmp_path):
    state_dict = {k: v for k, v in make_encoder().state_dict().items() if "num_batches" not in k}
    imported = import_checkpoint(make_file(tmp_path / "a.pth", state_dict))
    assert (imported.report.matched, imported.report.added) == (60, 12)
    load_into(make_encoder(), imported.state_dict, "test")


def test_heads_are_left_out(tmp_path):
    extra = {"module.conv_seg.0.weight": torch.zeros(2), "module.fc.weight": torch.zeros(400, 16)}
    imported = import_checkpoint(make_file(tmp_path / "a.pth", make_encoder().state_dict(), **extra))
    assert imported.report.ignored == ("conv_seg.0.weight", "fc.weight")
    assert imported.report.matched == 72
    assert not {"conv_seg.0.weight", "fc.weight"} & set(imported.state_dict)


def test_a_b_file_cannot_go_into_an_a_net(tmp_path):
    imported = import_checkpoint(make_file(tmp_path / "a.pth", make_encoder(shortcut="B").state_dict()))
    with pytest.raises(ModelError, match="54 tensors match, 18 unexpected"):
        load_into(make_encoder(shortcut="A"), imported.state_dict, "test")
    imported = import_checkpoint(make_file(tmp_path / "a.pth", make_encoder(shortcut="A").state_dict()))
    with pytest.raises(ModelError, match=r"54 tensors match, 18 missing \(layer2\.0\.downsample\.0\.weight"):
        load_into(make_encoder(shortcut="B"), imported.state_dict, "test")


def test_another_depth_is_refused(tmp_path):
    imported = import_checkpoint(make_file(tmp_path / "a.pth", make_encoder(10).state_dict()))
    with pytest.raises(ModelError, match="72 tensors match, 48 missing"):
        load_into(make_encoder(18), imported.state_dict, "test")
    with pytest.raises(ModelError, match="of another shape"):
        load_into(make_encoder(10, width=4), imported.state_dict, "test")


def test_files_that_are_not_whole_encoders(tmp_path):
    whole = make_encoder().state_dict()

    def without(word):
        return {key: value for key, value in whole.items() if word not in key}

    wrong = {
        r"71 tensors match, 1 missing \(layer4\.0\.conv2\.weight\)": without("layer4.0.conv2"),
        r"72 tensors match, 1 unexpected \(layer1\.0\.extra\)": whole | {"layer1.0.extra": torch.zeros(1)},
        "71 tensors match, 1 of another shape": whole | {"layer4.0.conv2.weight": torch.zeros(16, 16, 1, 3, 3)},
        r"5 missing \(layer2": without("layer2.0.downsample"),
        r"has 1, 1, 1, 0 basic blocks .* none of ResNet-10, 18": without("layer4"),
        "no 3D ResNet": {"conv1.weight": torch.zeros(64, 3, 7, 7)},
        "no 3D ResNet: .* but a": {"encoder.a": torch.zeros(3)},
        "twice": whole | {"module.conv1.weight": whole["conv1.weight"]},
        "'layer1.0.bn1.weight' is no ordinary tensor": whole | {"layer1.0.bn1.weight": 3},
        "looks like a PreAct-ResNet-50 with shortcut B, but is not": {
            key: value for key, value in PreActResNetEncoder(50, width=2).state_dict().items() if key != "bn1.weight"
        },
    }
    for message, state_dict in wrong.items():
        path = make_file(tmp_path / "wrong.pth", state_dict, prefix="")
        with pytest.raises(ModelError, match=f"wrong.pth.*{message}"):
            import_checkpoint(path)


def test_files_that_cannot_be_read(tmp_path):
    path = make_file(tmp_path / "a.pth", make_encoder().state_dict())
    whole = path.read_bytes()
    for data in (b"", b"text", whole[:-100], whole[:1000]):
        path.write_bytes(data)
        with pytest.raises(ModelError, match=r"a\.pth is damaged"):
            import_checkpoint(path)
    for content in ([1, 2], {}, {"state_dict": 3}, torch.zeros(3)):
        torch.save(content, path)
        with pytest.raises(ModelError, match=r"a\.pth "):
            import_checkpoint(path)
    with pytest.raises(ModelError, match="There is no file"):
        import_checkpoint(tmp_path / "none.pth")


class Evil:
    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return (os.mkdir, (self.target,))


def test_a_scan_by_mistake_is_not_called_program_code(tmp_path):
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(gzip.compress(bytes(1000)))
    with pytest.raises(ModelError, match="no file of weights"):
        import_checkpoint(path)


@pytest.mark.parametrize("legacy", [True, False])
def test_code_in_a_checkpoint_never_runs(tmp_path, legacy):
    target = tmp_path / "executed"
    path = make_file(tmp_path / "a.pth", make_encoder().state_dict(), legacy=legacy, payload=Evil(target))
    with pytest.raises(ModelError, match=r"a\.pth is refused: it holds program code"):
        import_checkpoint(path)
    assert not target.exists()
    torch.load(io.BytesIO(path.read_bytes()), weights_only=False)
    assert target.exists(), "the attack must work without our care"


def test_three_channels_to_one_is_the_sum(tmp_path):
    colour = make_encoder(in_channels=3, width=8)
    path = make_file(tmp_path / "kinetics.pth", colour.state_dict())
    imported = import_checkpoint(path, in_channels=1)
    assert imported.report.input_channels == 3
    assert torch.equal(imported.state_dict["conv1.weight"], colour.conv1.weight.sum(1, keepdim=True))
    grey = make_encoder(width=8)
    load_into(grey, imported.state_dict, "test")
    same_features(colour, grey, 3)
    kept = import_checkpoint(path, in_channels=3)
    assert torch.equal(kept.state_dict["conv1.weight"], colour.conv1.weight)


@pytest.mark.parametrize("channels", [2, 4])
def test_more_channels_keep_the_features_of_a_grey_image(tmp_path, channels):
    grey = make_encoder(width=8)
    imported = import_checkpoint(make_file(tmp_path / "a.pth", grey.state_dict()), in_channels=channels)
    wide = make_encoder(in_channels=channels, width=8, seed=1)
    load_into(wide, imported.state_dict, "test")
    same_features(wide, grey, channels)


def same_features(many, one, channels):
    image = torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        a, b = many.eval()(image.repeat(1, channels, 1, 1, 1)), one.eval()(image)
    assert b.abs().max() > 0
    assert torch.allclose(a, b, rtol=1e-4, atol=1e-5 * b.abs().max().item())


def test_no_channels(tmp_path):
    with pytest.raises(SettingError, match="at least 1 input channel, not 0"):
        import_checkpoint(tmp_path / "a.pth", in_channels=0)


def test_channels_are_adapted_only_if_needed():
    kernel = torch.randn(2, 3, 1, 1, 1)
    assert adapt_channels(kernel, 3) is kernel
    assert adapt_channels(kernel, 2).shape == (2, 2, 1, 1, 1)


def test_an_imported_encoder_becomes_a_package(tmp_path):
    imported = import_checkpoint(make_file(tmp_path / "resnet_18.pth", make_encoder(18, "A").state_dict()))
    package = encoder_package(imported, "medicalnet-18", "1.0.0", "MIT")
    path = save_package(package, {"encoder": imported.state_dict}, tmp_path, half=False)
    loaded = load_package(path)
    loaded.verify()
    assert loaded.encoder == imported.spec
    assert loaded.provenance["imported"]["matched"] == 102
    assert all(torch.equal(value, imported.state_dict[key]) for key, value in loaded.read_weights("encoder").items())


@pytest.mark.parametrize("prefix", ["model.", "encoder.", "module.model.encoder.", "model.module."])
def test_prefixes_of_other_trainers(tmp_path, prefix):
    state_dict = make_encoder().state_dict()
    imported = import_checkpoint(make_file(tmp_path / "a.pth", state_dict, prefix))
    assert all(torch.equal(imported.state_dict[key], value) for key, value in state_dict.items())


def test_weights_below_model_state_dict(tmp_path):
    torch.save({"epoch": 3, "model_state_dict": make_encoder().state_dict()}, tmp_path / "a.pth")
    assert import_checkpoint(tmp_path / "a.pth").report.matched == 72


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    state_dict = make_encoder().state_dict()
    state_dict["layer2.0.conv1.weight"][0, 0] = value
    with pytest.raises(ModelError, match=r"not finite \('layer2.0.conv1.weight'\)"):
        import_checkpoint(make_file(tmp_path / "a.pth", state_dict))


def test_a_pre_activation_resnet_of_kinetics_arrives_and_is_used(tmp_path):
    torch.manual_seed(3)
    original = PreActResNetEncoder(50, in_channels=3, width=2)
    head = {"module.fc.weight": torch.randn(400, 64), "module.fc.bias": torch.randn(400)}
    imported = import_checkpoint(make_file(tmp_path / "preresnet-50-kinetics.pth", original.state_dict(), **head))
    assert (imported.name, imported.depth, imported.shortcut, imported.width) == ("preact_resnet", 50, "B", 2)
    assert imported.report.ignored == ("fc.weight", "fc.bias") and imported.report.input_channels == 3
    package = encoder_package(imported)
    assert package.title.startswith("PreAct-ResNet-50, shortcut B")
    file = save_package(package, {"encoder": imported.state_dict}, tmp_path, half=False)
    load_package(file).verify()
    encoder = PreActResNetEncoder(50, width=2)
    load_into(encoder, load_package(file).read_weights("encoder"), "test")
    grey = torch.randn(2, 1, 16, 16, 16)
    with torch.inference_mode():
        colour = original.eval()(grey.expand(-1, 3, -1, -1, -1))
        torch.testing.assert_close(encoder.eval()(grey), colour, rtol=1e-3, atol=1e-3)
        assert colour.abs().max() > 1


def test_a_pre_activation_resnet_of_basic_blocks_is_none_that_is_known(tmp_path):
    tensors = make_encoder(18).state_dict()
    for layer in range(1, 5):  # batch norm before the convolution has as many channels as come in
        for block in range(2):
            kernel = tensors[f"layer{layer}.{block}.conv1.weight"]
            tensors |= {f"layer{layer}.{block}.bn1.{key}": torch.ones(kernel.shape[1]) for key in ("weight", "bias")}
    with pytest.raises(ModelError, match=r"2, 2, 2, 2 basic blocks .* none of PreAct-ResNet-50, 101, 152, 200"):
        import_checkpoint(make_file(tmp_path / "preresnet-18-kinetics.pth", tensors))
