"""The network of co-training: a shared encoder, and branches that do not touch each other."""

import pytest
import torch

from Med3DCore.errors import SettingError
from Med3DCore.networks.med3d import build_med3d

ENCODER = {"name": "resnet", "depth": 10, "width": 4}
BRANCHES = {
    "liver": ({"name": "upsample"}, 1),
    "lungs": ({"name": "lung"}, 2),
    "heart": ({"name": "skip", "channels": [8, 8, 4, 4]}, 3),
    "spleen": ({"name": "denseaspp", "dilations": [1, 2]}, 1),
}


@pytest.fixture(scope="module")
def med3d():
    torch.manual_seed(0)
    return build_med3d(ENCODER, BRANCHES)


def test_every_branch_gives_its_classes_at_the_size_of_the_input(med3d):
    x = torch.randn(1, 1, 17, 24, 21)
    for domain, (_, classes) in BRANCHES.items():
        assert med3d(x, domain).shape == (1, classes, 17, 24, 21)


def test_the_network_of_a_domain_is_the_shared_one_and_not_a_copy(med3d):
    network = med3d.network("heart")
    assert network.encoder is med3d.encoder and network.decoder is med3d.branches["heart"]


def test_a_forward_pass_gives_gradients_to_one_branch_alone(med3d):
    med3d.zero_grad(set_to_none=True)
    med3d(torch.randn(1, 1, 16, 16, 16), "lungs").sum().backward()
    moved = {name.split(".")[0] for name, p in med3d.branches.named_parameters() if p.grad is not None}
    assert moved == {"lungs"}
    assert all(parameter.grad is not None for parameter in med3d.encoder.parameters())


def test_eight_branches_of_the_paper_add_a_1x1x1_convolution_each():
    med3d = build_med3d(ENCODER, {f"d{i}": ({"name": "upsample"}, i + 1) for i in range(8)})
    features = med3d.encoder.channels[-1]
    assert sum(p.numel() for p in med3d.branches.parameters()) == sum((features + 1) * (i + 1) for i in range(8))


@pytest.mark.parametrize(
    ("branches", "sentence"),
    [
        ({}, "at least one domain"),
        ({"liver": ({"name": "upsample"}, 0)}, "number of classes of the domain 'liver'"),
        ({"liver": ({"name": "vnet"}, 1)}, "name of the decoder is 'vnet'"),
    ],
)
def test_wrong_branches_are_named(branches, sentence):
    with pytest.raises(SettingError, match=sentence):
        build_med3d(ENCODER, branches)
