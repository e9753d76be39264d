"""The encoders against facts measured on the published code (papers.md A4)."""

import math

import pytest
import torch

from Med3DCore.networks.preact_resnet import PreActResNetEncoder
from Med3DCore.networks.resnet import ResNetEncoder

# depth, shortcut, parameters, floats in batch-norm buffers without the counters, state-dict keys.
# Buffers are the table's figure less those of the demo's decoder (2 x 2 x 32 floats and 2 counters).
COUNTS = [
    (10, "A", 14_181_696, 54, 45),
    (10, "B", 14_355_520, 72, 60),
    (18, "A", 32_986_176, 102, 85),
    (18, "B", 33_160_000, 120, 100),
    (34, "A", 63_295_808, 198, 165),
    (34, "B", 63_469_632, 216, 180),
    (50, "A", 43_378_496, 294, 245),
    (50, "B", 46_155_072, 318, 265),
    (101, "A", 82_424_640, 600, 500),
    (101, "B", 85_201_216, 624, 520),
    (152, "A", 114_583_360, 906, 755),
    (152, "B", 117_359_936, 930, 775),
    (200, "A", 123_782_976, 1194, 995),
    (200, "B", 126_559_552, 1218, 1015),
]

# depth, shortcut, mean and population standard deviation after layers 1 to 4, two voxels of layer 4
GOLDEN = [
    (10, "B", (1.79281850e-01, 3.01025714e-01), (8.78979481e-02, 1.28845516e-01), (2.55947013e-02, 4.07505961e-02),
     (3.83654689e-03, 9.01404697e-03), (6.86491865e-03, 9.19846357e-03)),
    (10, "A", (1.79281850e-01, 3.01025714e-01), (1.67748672e-01, 2.66783314e-01), (1.00189801e-01, 2.03571310e-01),
     (5.06694607e-02, 1.52229299e-01), (0.0, 1.54167493e-01)),
    (18, "A", (2.06763275e00, 3.02315755e00), (4.38989514e00, 5.54458632e00), (2.52172722e00, 4.38041509e00),
     (1.27836535e00, 3.33750156e00), (0.0, 0.0)),
    (18, "B", (2.06763275e00, 3.02315755e00), (4.22051637e00, 5.38887981e00), (7.57005224e-01, 1.05665088e00),
     (9.14911659e-02, 1.36987404e-01), (0.0, 1.08904698e-01)),
    (34, "A", (1.60551515e01, 2.43406988e01), (3.48792642e02, 4.60529047e02), (2.85507065e02, 3.81951939e02),
     (1.44581342e02, 3.04639405e02), (0.0, 7.99305436e02)),
    (50, "B", (1.42293186e-03, 1.83683005e-03), (1.61592131e-04, 2.12753237e-04), (1.09627900e-06, 1.71224945e-06),
     (3.30899188e-08, 5.60253202e-08), (0.0, 1.26293084e-07)),
    (101, "B", (1.42293186e-03, 1.83683005e-03), (1.61592131e-04, 2.12753237e-04), (1.27205914e-06, 1.72858440e-06),
     (3.00314268e-08, 5.14198221e-08), (0.0, 9.81416277e-08)),
    (152, "B", (1.42293186e-03, 1.83683005e-03), (1.61773672e-04, 2.12620359e-04), (1.41984452e-06, 1.82566666e-06),
     (2.97419408e-08, 5.13820690e-08), (0.0, 8.09507396e-08)),
    (200, "B", (1.42293186e-03, 1.83683005e-03), (1.62500693e-04, 2.12116192e-04), (1.40730359e-06, 1.81157954e-06),
     (2.91030649e-08, 5.00274642e-08), (0.0, 7.92425314e-08)),
]  # fmt: skip


def on_meta(encoder_class=ResNetEncoder, **arguments):
    """An encoder with shapes and no memory."""
    with torch.device("meta"):
        return encoder_class(**arguments)


def test_parameters_and_keys_of_every_depth():
    for depth, shortcut, parameters, keys, keys_without_counters in COUNTS:
        encoder = on_meta(depth=depth, shortcut=shortcut)
        state = encoder.state_dict()
        found = sum(p.numel() for p in encoder.parameters()), len(state)
        assert found == (parameters, keys), (depth, shortcut)
        assert sum(not key.endswith("num_batches_tracked") for key in state) == keys_without_counters


def test_preact_200_has_the_published_size():
    encoder = on_meta(PreActResNetEncoder, depth=200)
    assert sum(p.numel() for p in encoder.parameters()) == 126_555_584
    assert len(encoder.state_dict()) == 1218


def test_keys_and_shapes_are_medicalnets():
    state = {key: tuple(value.shape) for key, value in on_meta(depth=10).state_dict().items()}
    assert list(state)[:7] == [
        "conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "bn1.num_batches_tracked",
        "layer1.0.conv1.weight",
    ]  # fmt: skip
    assert state["conv1.weight"] == (64, 1, 7, 7, 7)
    assert state["layer1.0.conv1.weight"] == (64, 64, 3, 3, 3)
    assert state["layer2.0.downsample.0.weight"] == (128, 64, 1, 1, 1)
    assert "layer2.0.downsample.1.running_var" in state
    assert not any(key.startswith("layer1.0.downsample") for key in state)
    assert "layer1.0.downsample.0.weight" in on_meta(depth=50).state_dict()


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda g: f"{g[0]}{g[1]}")
def test_golden_forward_values(golden):
    depth, shortcut, *expected, samples = golden
    encoder = on_meta(depth=depth, shortcut=shortcut).to(torch.float64).to_empty(device="cpu").eval()
    with torch.inference_mode():
        fill_with_sines(encoder)
        x = torch.cos(0.05 * torch.arange(32**3, dtype=torch.float64)).reshape(1, 1, 32, 32, 32)
        maps = encoder.features(x)
    for i, values in enumerate(expected, start=1):
        found = maps[i].mean().item(), maps[i].std(correction=0).item()
        assert found == pytest.approx(values, rel=1e-6), f"layer{i}"
    found = maps[4][0, 0, 0, 0, 0].item(), maps[4][0, 100, 1, 2, 3].item()
    assert found == pytest.approx(samples, rel=1e-6)


def fill_with_sines(encoder):
    """The weights that the golden values were measured with."""
    for name, value in encoder.state_dict().items():
        if value.ndim == 5:
            scale = math.sqrt(2 / (value.shape[0] * value[0, 0].numel()))
            index = torch.arange(value.numel(), dtype=torch.float64)
            value.copy_(index.mul_(0.7).add_(0.3).sin_().mul_(scale).reshape(value.shape))
        else:
            value.fill_(1 if name.endswith(("weight", "running_var")) else 0)


@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_shapes_of_every_geometry(output_stride, stem_stride):
    encoder = on_meta(depth=18, width=4, output_stride=output_stride, stem_stride=stem_stride)
    below = {8: [8, 8, 8], 16: [8, 16, 16], 32: [8, 16, 32]}[output_stride]
    assert encoder.strides == [s * stem_stride // 2 for s in (2, 4, *below)]
    assert encoder.channels == [4, 4, 8, 16, 32]
    size = (64, 33, 7)
    maps = encoder.features(torch.empty(1, 1, *size, device="meta"))
    for x, stride, channels in zip(maps, encoder.strides, encoder.channels, strict=True):
        assert tuple(x.shape) == (1, channels, *(math.ceil(n / stride) for n in size))


def test_weights_fit_every_geometry_but_features_differ():
    torch.manual_seed(0)
    x = torch.randn(1, 1, 32, 32, 32)
    dilated = ResNetEncoder(10, width=4, output_stride=8).eval()
    strided = ResNetEncoder(10, width=4, output_stride=32).eval()
    strided.load_state_dict(dilated.state_dict())
    with torch.inference_mode():
        assert not torch.allclose(dilated(x)[:, :, ::4, ::4, ::4], strided(x))


@pytest.mark.parametrize(("output_stride", "dilations"), [(8, (2, 4)), (16, (1, 2)), (32, (1, 1))])
def test_every_3x3x3_convolution_of_a_stage_is_dilated(output_stride, dilations):
    for depth in (10, 50):
        encoder = on_meta(depth=depth, width=4, output_stride=output_stride)
        for layer, dilation in zip((encoder.layer3, encoder.layer4), dilations, strict=True):
            convs = [m for m in layer.modules() if isinstance(m, torch.nn.Conv3d) and m.kernel_size == (3, 3, 3)]
            assert {m.dilation for m in convs} == {(dilation,) * 3}


def test_forward_is_the_last_of_features():
    x = torch.randn(2, 3, 17, 20, 24)
    for encoder in (ResNetEncoder(10, 3, width=4), PreActResNetEncoder(50, 3, width=2, output_stride=16)):
        encoder.eval()
        with torch.inference_mode():
            assert torch.equal(encoder(x), encoder.features(x)[-1])


def test_detached_shortcut_keeps_the_values_and_stops_the_gradient():
    gradients = {}
    outputs = {}
    for detach in (False, True):
        torch.manual_seed(0)
        encoder = ResNetEncoder(10, shortcut="A", width=4, detach_shortcut=detach)
        torch.nn.init.zeros_(encoder.layer2[0].bn2.weight)  # leaves layer 2 with its shortcut alone
        outputs[detach] = encoder(torch.randn(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(1)))
        outputs[detach].sum().backward()
        gradients[detach] = encoder.conv1.weight.grad.abs().sum().item()
    assert torch.equal(outputs[False], outputs[True])
    assert gradients[True] == 0
    assert gradients[False] > 0


def test_preact_block_follows_its_formula():
    torch.manual_seed(0)
    block = PreActResNetEncoder(50, width=2).layer2[0].double()
    x = torch.randn(2, 8, 5, 4, 6, dtype=torch.float64)

    def norm(y):
        return (y - y.mean((0, 2, 3, 4), keepdim=True)) / (
            y.var((0, 2, 3, 4), correction=0, keepdim=True) + 1e-5
        ).sqrt()

    y = torch.nn.functional.conv3d(norm(x).relu(), block.conv1.weight)
    y = torch.nn.functional.conv3d(norm(y).relu(), block.conv2.weight, stride=2, padding=1)
    y = torch.nn.functional.conv3d(norm(y).relu(), block.conv3.weight)
    shortcut = norm(torch.nn.functional.conv3d(x, block.downsample[0].weight, stride=2))
    torch.testing.assert_close(block(x), y + shortcut)
