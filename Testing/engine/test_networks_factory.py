"""Networks from plain JSON: what fits is built, what does not is named."""

import copy
import json
import subprocess
import sys

import pytest

from Med3DCore.errors import SettingError
from Med3DCore.networks import build_network
from Med3DCore.networks.factory import DECODERS, ENCODERS

SPEC = {
    "encoder": {"name": "resnet", "depth": 10, "in_channels": 1, "width": 4, "shortcut": "B", "output_stride": 8},
    "decoder": {"name": "skip", "channels": [8, 8, 4, 4], "deep_supervision": False},
    "out_channels": 2,
}


def changed(path, value):
    spec = copy.deepcopy(SPEC)
    part = spec
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return spec


# nnU-Net's networks are told all sizes, stage by stage; the others have a shape of their own.
STAGES = {"channels": [2] * 5, "kernels": [[3, 3, 3]] * 5, "strides": [[1] * 3, [2] * 3, [2] * 3, [2] * 3, [1] * 3]}
SIZES = {
    "plain_conv": {**STAGES, "convs": [1] * 5},
    "residual": {**STAGES, "blocks": [1] * 5},
    "segresnet": {**STAGES, "blocks": [1] * 5},
}
DECODER_SIZES = {
    "nnunet": {"kernels": [[3, 3, 3]] * 4, "convs": [1] * 4},
    "segresnet": {"kernels": [[3, 3, 3]] * 4, "blocks": [1] * 4},
}


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_pair_is_built_from_json(encoder, decoder):
    sizes = SIZES.get(encoder, {"depth": 50, "width": 2})
    if decoder == "detection":  # its pyramid needs maps that halve
        halving = {"strides": [[1] * 3, *[[2] * 3] * 4]} if "strides" in sizes else {"output_stride": 32}
        sizes = {**sizes, **halving}
    spec = {
        "encoder": {"name": encoder, **sizes},
        "decoder": {"name": decoder, **DECODER_SIZES.get(decoder, {})},
        "out_channels": 2,
    }
    net = build_network(json.loads(json.dumps(spec)))
    assert {key.split(".")[0] for key in net.state_dict()} == {"encoder", "decoder"}


def test_the_arguments_reach_the_network():
    net = build_network(SPEC)
    assert net.encoder.conv1.out_channels == 4
    assert net.decoder.logits[0].out_channels == 2
    assert build_network(changed(["encoder", "in_channels"], 3)).encoder.conv1.in_channels == 3
    assert build_network(changed(["encoder", "shortcut"], "A")).encoder.layer2[0].downsample.channels == 8


def test_the_description_is_not_changed():
    spec = copy.deepcopy(SPEC)
    build_network(spec)
    assert spec == SPEC


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["encoder", "name"], "vgg", "name of the encoder is 'vgg'; it must be one of: resnet, preact_resnet"),
        (["encoder", "name"], ["resnet"], "name of the encoder"),
        (["decoder", "name"], "vnet", "name of the decoder is 'vnet'"),
        (["encoder"], {"depth": 10}, "encoder of the network has no name"),
        (["decoder"], "skip", "decoder of the network has no name"),
        (["encoder", "dept"], 10, "Unknown setting 'dept' of the encoder 'resnet'"),
        (["decoder", "preset"], "halving", "Unknown setting 'preset' of the decoder 'skip'"),
        (["decoder", "in_channels"], [1], "Unknown setting 'in_channels' of the decoder 'skip'"),
        (["head"], {}, "Unknown setting 'head' of the network"),
        (["encoder", "depth"], 11, "depth of the encoder is 11; it must be one of: 10, 18, 34, 50, 101, 152, 200"),
        (["encoder", "depth"], [10], "depth of the encoder"),
        (["encoder", "shortcut"], "C", "shortcut of the encoder"),
        (["encoder", "output_stride"], 4, "output_stride of the encoder"),
        (["encoder", "stem_stride"], True, "stem_stride of the encoder"),
        (["encoder", "width"], 0, "width of the encoder"),
        (["encoder", "in_channels"], "1", "in_channels of the encoder"),
        (["decoder", "channels"], [1, 2], "channels of the decoder 'skip'"),
        (["decoder"], {"name": "lung", "preset": "thirds"}, "preset of the decoder 'lung'"),
        (["decoder"], {"name": "denseaspp", "preset": {}}, "preset of the decoder 'denseaspp'"),
        (["decoder"], {"name": "denseaspp", "dilations": []}, "dilations of the decoder 'denseaspp'"),
        (["decoder"], {"name": "denseaspp", "dropout": "no"}, "dropout of the decoder 'denseaspp'"),
        (["out_channels"], 0, "out_channels of the network is 0"),
        (["out_channels"], True, "out_channels of the network is True"),
    ],
)
def test_what_does_not_fit_is_named(path, value, words):
    with pytest.raises(SettingError) as raised:
        build_network(changed(path, value))
    assert words in str(raised.value)


@pytest.mark.parametrize("key", ["encoder", "decoder", "out_channels"])
def test_what_is_missing_is_named(key):
    spec = {k: v for k, v in SPEC.items() if k != key}
    with pytest.raises(SettingError, match=f"'{key}' of the network is missing"):
        build_network(spec)
    with pytest.raises(SettingError, match="'depth' of the encoder 'resnet' is missing"):
        build_network(changed(["encoder"], {"name": "resnet"}))


def test_importing_networks_does_not_import_torch():
    code = "import sys, Med3DCore.networks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
