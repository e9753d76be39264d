"""The detector's network: P3D's and MP3D's nine slices, the pyramid, anchors and boxes (papers.md B3.5)."""

import numpy as np
import pytest
import torch

from Med3DCore.boxes import decode, encode
from Med3DCore.errors import SettingError
from Med3DCore.models.weights import compare
from Med3DCore.networks import build_network
from Med3DCore.networks.choose_boxes import Limits, conclude, propose
from Med3DCore.networks.detector import _aligned
from Med3DCore.networks.pseudo_3d import PSEUDO
from Med3DCore.networks.pyramid import GroupTransform
from Med3DCore.networks.resnet import ResNetEncoder

MP3D = {"name": "resnet", "depth": 10, "width": 4, "output_stride": 32, "depth_stride": False}
SMALL = {"name": "detection", "channels": 8, "hidden": 16, "anchor_scale": 2.0}


def network(encoder=MP3D, **decoder):
    torch.manual_seed(0)
    return build_network({"encoder": encoder, "decoder": {**SMALL, **decoder}, "out_channels": 2}).eval()


def sizes(encoder, slices=9, side=64):
    return [tuple(level.shape[2:]) for level in encoder.eval().features(torch.zeros(1, 1, slices, side, side))]


# -- nine slices -------------------------------------------------------------------------------------------------------


def test_mp3d_keeps_nine_slices_and_takes_vdts_weights():
    encoder = ResNetEncoder(10, width=4, output_stride=32, depth_stride=False)
    assert sizes(encoder) == [(9, n, n) for n in (32, 16, 8, 4, 2)]
    pictures = ResNetEncoder(10, width=4, output_stride=32, depth_stride=False, stem_stride=1)
    assert compare(encoder.state_dict(), pictures.state_dict()).is_complete


def test_p3d_goes_from_nine_slices_to_five_three_and_one():
    encoder = ResNetEncoder(50, width=4, output_stride=32, pseudo=True, depth_pools=True, norm="group")
    assert [z for z, _, _ in sizes(encoder)] == [9, 9, 5, 3, 1]
    assert encoder.conv1.kernel_size == (1, 7, 7) and encoder.maxpool.kernel_size == (1, 3, 3)
    blocks = [block for layer in encoder._layers() for block in layer]
    assert len(blocks) == 16 and [type(block) for block in blocks] == [PSEUDO[i % 3] for i in range(16)]
    assert encoder.eval()(torch.zeros(1, 1, 9, 64, 64)).shape[2:] == (1, 2, 2)


def test_the_arrangements_of_the_two_convolutions():
    """With an identity within the slice and a doubling across, and no normalisation: A 2x, B x + 2x, C x + 2x."""
    x = torch.rand(1, 4, 3, 5, 5)
    for kind, factor in zip(PSEUDO, (2.0, 3.0, 3.0), strict=True):
        block = kind(4, 4, 1, 1, None)
        block.bn2 = block.across_bn = torch.nn.Identity()
        for conv, value in ((block.conv2, 1.0), (block.across, 2.0)):
            torch.nn.init.zeros_(conv.weight)
            middle = tuple(n // 2 for n in conv.kernel_size)
            for channel in range(4):
                conv.weight.data[(channel, channel, *middle)] = value
        assert torch.allclose(block.middle(x), factor * x)
    assert PSEUDO[1](4, 4, (1, 2, 2), 1, None).middle(x).shape[2:] == (3, 3, 3)


def test_the_published_detectors_are_settings_alone():
    """But for the encoder's width, so that the test is quick."""
    encoder = {"name": "resnet", "depth": 50, "width": 4, "output_stride": 32, "norm": "group"}
    for more, decoder in (
        ({"pseudo": True, "depth_pools": True}, {"name": "detection", "collapse": "centre"}),
        ({"depth_stride": False}, {"name": "detection"}),
    ):
        built = build_network({"encoder": {**encoder, **more}, "decoder": decoder, "out_channels": 2})
        assert built.decoder.strides == [4, 8, 16, 32, 64] and built.decoder.slices == 9
        assert built.decoder.hidden[0].weight.shape == (1024, 256 * 49)
        assert np.allclose(built.decoder.anchors([torch.zeros(1, 1, 1, 1)] * 5)[4][1], [-128, -128, 128, 128])
    assert built.decoder.pyramid.collapse[3].conv.weight.shape == (128, 9, 1, 1)


def test_group_norm_learns_the_same_from_one_picture_as_from_two():
    torch.manual_seed(0)
    encoder, x = ResNetEncoder(10, width=4, output_stride=32, norm="group"), torch.rand(2, 1, 9, 64, 64)
    assert torch.allclose(encoder(x)[:1], encoder(x[:1]), atol=1e-5)
    assert not [name for name, _ in encoder.named_buffers()]


def test_the_group_transform_mixes_slices_of_a_channel_and_no_channels():
    transform, x = GroupTransform(3, 9), torch.rand(2, 3, 9, 4, 4)
    weights, bias = transform.conv.weight[:, :, 0, 0], transform.conv.bias
    expected = torch.einsum("nczyx,cz->ncyx", x, weights) + bias[:, None, None]
    assert torch.allclose(transform(x), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("encoder", "decoder", "said"),
    [
        ({"output_stride": 8}, {}, "output_stride 32"),
        ({"pseudo": True}, {}, "bottlenecks"),
        ({"norm": "layer"}, {}, "norm"),
        ({}, {"slices": 8}, "odd"),
        ({}, {"collapse": "mean"}, "collapse"),
        ({}, {"anchor_scale": 0}, "anchor_scale"),
        ({}, {"ratios": []}, "ratios"),
        ({}, {"anchor_overlap": 0.2}, "anchor_overlap"),
        ({}, {"hidden": 0}, "hidden"),
        ({"depth_pools": True}, {"name": "upsample"}, "must be 'detection'"),
    ],
)
def test_settings_that_make_no_sense(encoder, decoder, said):
    spec = {**SMALL, **decoder} if decoder.get("name") != "upsample" else decoder
    with pytest.raises(SettingError, match=said):
        build_network({"encoder": {**MP3D, **encoder}, "decoder": spec, "out_channels": 2})
    with pytest.raises(SettingError, match="Several detectors"):
        build_network({"encoder": MP3D, "decoder": SMALL, "out_channels": 2, "members": 2})


@pytest.mark.parametrize("norm", [True, False])
def test_with_norm_units_tell_boxes_apart_however_much_these_have_in_common(norm):
    """Without, each unit of the head is on or off for all boxes alike, and what is off for all learns nothing."""
    torch.manual_seed(0)
    decoder = build_network({"encoder": MP3D, "decoder": {**SMALL, "norm": norm}, "out_channels": 2}).decoder
    pooled = 50 * torch.randn(1, decoder.hidden[0].in_features) + torch.randn(60, decoder.hidden[0].in_features)
    shares = (decoder.hidden(pooled) > 0).float().mean(dim=0)
    told_apart = ((shares > 0.1) & (shares < 0.9)).float().mean()
    assert (told_apart > 0.9) == norm
    maps = decoder.pyramid([torch.rand(2, n, 9, 32 >> i, 32 >> i) + 30 for i, n in enumerate((4, 8, 16, 32))])
    assert all(level.mean().abs() < 1e-4 for level in maps[:4]) == norm


# -- boxes -------------------------------------------------------------------------------------------------------------


def test_boxes_are_coded_and_back():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 50, (2, 9, 2))
    boxes, anchors = np.concatenate([low, low + rng.uniform(2, 40, (2, 9, 2))], axis=2)
    assert np.allclose(decode(encode(boxes, anchors), anchors), boxes)
    assert np.allclose(encode(np.array([[2.0, 0, 6, 8]]), np.array([[0.0, 0, 4, 4]])), [[0.5, 0.5, 0, np.log(2)]])
    assert np.isfinite(decode(np.full((9, 4), 1e6), anchors)).all()


def test_anchors_lie_over_the_pixels_that_a_map_is_made_of():
    """A bright pixel is brightest in the map at the voxel whose anchor is centred on it: layers are aligned."""
    decoder = network().decoder
    maps = [torch.zeros(1, 8, n, n + 1) for n in (8, 4, 2, 1, 1)]
    fine, coarse = decoder.anchors(maps)[0], decoder.anchors(maps)[3]
    middle = (fine[:, :2] + fine[:, 2:]) / 2
    assert len(fine) == 8 * 9 * 3 and np.allclose(middle[3 * (2 * 9 + 5)], [20, 8])
    assert np.allclose((fine[:3, 2:] - fine[:3, :2]), [[8 * 2**0.5, 8 / 2**0.5], [8, 8], [8 / 2**0.5, 8 * 2**0.5]])
    assert np.allclose(coarse[1], [-32, -32, 32, 32])
    encoder = ResNetEncoder(10, width=4, output_stride=32, depth_stride=False).eval()
    for layer in encoder.modules():
        if isinstance(layer, torch.nn.Conv3d):
            torch.nn.init.ones_(layer.weight)
    x = torch.zeros(1, 1, 1, 64, 64)
    x[..., 32, 16] = 1
    response = encoder.features(x)[1][0, 0, 0]
    ys, xs = np.meshgrid(*[np.arange(16)] * 2, indexing="ij")
    weights = response.detach().numpy()
    assert np.allclose([(weights * ys).sum() / weights.sum(), (weights * xs).sum() / weights.sum()], [8, 4], atol=1e-3)


def test_a_box_is_pooled_where_it_lies():
    """Of a map that is a slope, the cells of a box are the slope at their middles."""
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(24.0), indexing="ij")
    boxes = np.array([[2.0, 3, 16, 17], [5, 5, 12, 12]])
    pooled = _aligned(torch.stack([x, y]).double(), boxes)
    middles = [[low + (i + 0.5) * (high - low) / 7 for i in range(7)] for low, high in ((2, 16), (3, 17), (5, 12))]
    assert pooled.shape == (2, 2, 7, 7)
    assert np.allclose(pooled[0, 0], np.broadcast_to(middles[0], (7, 7)))
    assert np.allclose(pooled[0, 1], np.array(middles[1])[:, None] @ np.ones((1, 7)))
    assert np.allclose(pooled[1, 0, 3], middles[2])


def test_boxes_are_pooled_alike_in_half_precision():
    """Places rounded to bfloat16 would be off by an eighth of a voxel in a map this wide."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 100, (200, 2))
    boxes, level = np.concatenate([low, low + rng.uniform(3, 20, (200, 2))], axis=1), torch.rand(3, 128, 128)
    pooled = _aligned(level.bfloat16(), boxes)
    assert pooled.dtype == torch.bfloat16 and torch.allclose(pooled.float(), _aligned(level, boxes), atol=0.02)


def test_boxes_are_pooled_as_torch_samples():
    rng = np.random.default_rng(0)
    low = rng.uniform(-3, 20, (9, 2))
    boxes, level = np.concatenate([low, low + rng.uniform(1, 12, (9, 2))], axis=1), torch.rand(4, 24, 30).double()
    places = (np.arange(14) + 0.5) / 14
    for box, pooled in zip(boxes, _aligned(level, boxes), strict=True):
        y, x = (torch.from_numpy(box[i] + places * (box[i + 2] - box[i])) for i in (1, 0))
        grid = torch.stack(torch.meshgrid((2 * y + 1) / 24 - 1, (2 * x + 1) / 30 - 1, indexing="ij")[::-1], dim=-1)
        sampled = torch.nn.functional.grid_sample(level[None], grid[None], padding_mode="border", align_corners=False)
        assert torch.allclose(pooled, torch.nn.functional.avg_pool2d(sampled, 2)[0])


def test_each_box_is_looked_at_on_the_level_of_its_size_and_in_its_own_order():
    decoder = network().decoder
    boxes = np.array([(0, 0, side, side) for side in (400.0, 10, 120, 240, 56, 57)])
    assert decoder._levels(boxes).tolist() == [2, 0, 1, 2, 0, 0]
    maps = [torch.full((2, 8, n, n), float(i)) for i, n in enumerate((16, 8, 4, 2, 1))]
    pooled = decoder._pooled(maps, [boxes, boxes[:2]])
    assert pooled[:, 0, 0, 0].tolist() == [2, 0, 1, 2, 0, 0, 2, 0]
    assert decoder._pooled(maps, [boxes[:0], boxes[:0]]).shape == (0, 8, 7, 7)


def test_from_a_picture_to_boxes_within_it():
    detector = network()
    x = torch.rand(2, 1, 9, 50, 70)
    with torch.inference_mode():
        said = detector(x)
        proposals = propose(detector.decoder, said, (50, 70), Limits(before=50, proposals=30))
        logits, deltas = detector.decoder.look_at(said.maps, proposals)
    assert [len(own) for own in proposals] == [30, 30] and logits.shape == (60, 2) and deltas.shape == (60, 4)
    for own in proposals:
        assert (own >= 0).all() and (own <= [69, 49, 69, 49]).all() and (own[:, 2:] - own[:, :2] >= 1).all()
    found, scores = conclude(logits[:30], deltas[:30], proposals[0], (50, 70), Limits(found=5))
    assert len(found) <= 5 and (np.diff(scores) <= 0).all() and ((scores > 0) & (scores < 1)).all()


def test_what_is_found_is_what_the_head_says():
    proposals = np.array([[10.0, 10, 30, 30], [12, 10, 32, 30], [50, 40, 60, 60]])
    logits = torch.tensor([[0.0, 2.0], [0.0, 1.0], [3.0, 0.0]])
    deltas = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 5 * np.log(2.0), 0]])
    found, scores = conclude(logits, deltas, proposals, (64, 64), Limits())
    assert np.allclose(found, [[12, 10, 32, 30], [45, 40, 63, 60]])  # moved by a tenth; twice as wide, cut off at 63
    assert np.allclose(scores, [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(3))])
