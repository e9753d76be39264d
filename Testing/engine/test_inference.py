"""Sliding window, cleaning, memory plan and the coarse-to-fine pipeline, with networks whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from Med3DCore.errors import Cancelled, ResourceError, SettingError
from Med3DCore.geometry import Geometry
from Med3DCore.inference import device as devices
from Med3DCore.inference import memory
from Med3DCore.inference.device import Device, choose_device
from Med3DCore.inference.pipeline import Pipeline
from Med3DCore.inference.postprocessing import Cleaning, clean, distance_to
from Med3DCore.inference.segment import segment
from Med3DCore.inference.sliding_window import sliding_window
from Med3DCore.inference.stage_networks import InferenceSettings, StageNetworks
from Med3DCore.labels import find_labels
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.stage import Stage
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

CPU = Device("cpu", "CPU", torch.float32, "test")


class Threshold(torch.nn.Module):
    """Logit channel i is positive where the normalised intensity exceeds level i; remembers the sizes it saw."""

    def __init__(self, *levels):
        super().__init__()
        self.levels = torch.tensor(levels).reshape(1, -1, 1, 1, 1)
        self.seen = []

    def forward(self, x):
        self.seen.append(tuple(x.shape))
        return (x - self.levels) * 40


def stage(name, labels, spacing, region=None, activation="sigmoid", postprocessing=None, window=(64, 64, 64)):
    network = {"encoder": {"name": "resnet", "width": 4, "stem_stride": 1}, "decoder": {"name": "skip"}}
    network["out_channels"] = len(labels)
    preprocessing = {"spacing": [spacing] * 3, "intensity": {"name": "window", "low": -100, "high": 100}}
    return Stage(name, network, preprocessing, labels, activation, window, region, postprocessing or {})


class KnownPipeline(Pipeline):
    """A pipeline whose networks are given."""

    def __init__(self, stages, networks, labels=("liver", "lungs")):
        package = ModelPackage(
            name="known",
            version="1.0.0",
            title="",
            description="",
            modality="CT",
            licence="",
            labels=find_labels(labels),
            stages=tuple(stages),
        )
        super().__init__(package, CPU)
        self.networks = KnownNetworks(package, networks)


class KnownNetworks(StageNetworks):
    def __init__(self, package, networks):
        super().__init__(package, CPU, InferenceSettings())
        self.known = networks

    def network(self, stage):
        return self.known[stage.name]


def balls(geometry, spheres, background=-100.0):
    """HU volume with balls (centre LPS mm, radius mm, HU)."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in geometry.size), indexing="ij"), axis=-1)
    points = (index @ geometry.index_to_physical[:3, :3].T + geometry.origin).transpose(2, 1, 0, 3)
    noise = np.random.default_rng(0).integers(0, 5, geometry.shape)  # one value all around would be padding
    array = (background + noise).astype(np.int16)
    for centre, radius, hu in spheres:
        array[np.linalg.norm(points - centre, axis=-1) <= radius] = hu
    return Volume(array, geometry, "balls")


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


# -- sliding window ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(40, 70, 33), (16, 16, 16), (1, 5, 100), (90, 33, 64)])
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_windows_blend_to_the_answer_of_the_whole(shape, overlap):
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    network = Threshold(0.2, -0.3)
    result = sliding_window(network, array, (32, 48, 32), CPU, overlap=overlap, batch=2)
    expected = 1 / (1 + np.exp(-40 * (array - np.array([0.2, -0.3])[:, None, None, None])))
    assert result.shape == (2, *shape) and np.allclose(result, expected, atol=1e-5)
    assert all(n <= 2 and max(size) <= 48 for n, _, *size in network.seen)


def test_softmax_sums_to_one_and_mirroring_averages_eight_views():
    class Corner(torch.nn.Module):
        calls = 0

        def forward(self, x):
            type(self).calls += 1
            logits = torch.zeros(x.shape[0], 2, *x.shape[2:])
            logits[:, 1, 0, 0, 0] = 100.0
            return logits

    result = sliding_window(
        Corner(), np.zeros((16, 16, 16), np.float32), (16,) * 3, CPU, "softmax", mirror_axes=(0, 1, 2)
    )
    assert Corner.calls == 8
    assert np.allclose(result.sum(axis=0), 1)
    corners = result[1][::15, ::15, ::15]
    assert np.allclose(corners, 0.5 + 0.5 / 8)


def test_cancel_between_windows():
    progress = Progress(is_cancelled=lambda: len(network.seen) >= 2)
    network = Threshold(0.0)
    with pytest.raises(Cancelled):
        sliding_window(network, np.zeros((64, 64, 64), np.float32), (32, 32, 32), CPU, progress=progress)
    assert len(network.seen) == 2


# -- cleaning ------------------------------------------------------------------------------------------------------


def test_cleaning_keeps_the_largest_fills_holes_and_drops_the_tiny():
    score = np.full((20, 20, 20), 0.1, np.float32)
    score[2:10, 2:10, 2:10] = 0.9
    score[5, 5, 5] = 0.2
    score[15:18, 15:18, 15:18] = 0.8
    cleaned = clean(score, 0.001, Cleaning(keep_largest=1, fill_holes=True))
    assert cleaned[5, 5, 5] == 1.0 and not (cleaned[15:18] > 0.5).any()
    assert (cleaned > 0.5).sum() == 512
    both = clean(score, 0.001, Cleaning(keep_largest=2))
    assert (both > 0.5).sum() == 511 + 27 and both[5, 5, 5] < 0.5
    assert not (clean(score, 0.001, Cleaning(min_ml=0.6)) > 0.5).any()
    for part, kept in ((0.05, 511 + 27), (0.06, 511)):
        large = clean(score, 0.001, Cleaning(keep_largest=1, min_ml=0.1, keep_part=part))
        assert (large > 0.5).sum() == kept
    assert not (clean(score, 0.001, Cleaning(min_ml=0.6, keep_part=0.01)) > 0.5).any(), "nothing is large enough"
    assert (score > 0.5).sum() == 511 + 27, "the input must not change"


def test_distance_is_in_mm_and_that_to_nothing_is_beyond_all_reach():
    mask = np.zeros((5, 6, 7), bool)
    grid = Geometry((7, 6, 5), (1.0, 2.0, 5.0))
    assert distance_to(mask, grid).min() > 1e6
    mask[1:3, 2:4, 1:5] = True
    distance = distance_to(mask, grid)
    inside = np.argwhere(mask) * (5.0, 2.0, 1.0)
    for index in np.ndindex(mask.shape):
        nearest = np.linalg.norm(inside - np.multiply(index, (5.0, 2.0, 1.0)), axis=1).min()
        assert distance[index] == pytest.approx(nearest, abs=1e-5)


def test_cleaning_refuses_unknown_rules():
    with pytest.raises(SettingError, match="keep_lagest"):
        Cleaning.from_dict({"keep_lagest": 1})


# -- device and memory ---------------------------------------------------------------------------------------------


def test_device_names():
    assert choose_device("cpu").name == "cpu" and choose_device("cpu").reason == "The CPU was asked for."
    with pytest.raises(ResourceError, match="Unknown device 'gpu'"):
        choose_device("gpu")
    if not torch.cuda.is_available():
        assert choose_device("auto").reason.startswith("No usable GPU")
        with pytest.raises(ResourceError, match="no usable CUDA"):
            choose_device("cuda:3")


@pytest.mark.parametrize("wanted", ["cuda:x", "cuda:-1", "cpu:1", "auto:0"])
def test_nonsense_device_names_get_a_sentence(wanted, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ResourceError, match=wanted):
        choose_device(wanted)


def test_bf16_only_where_the_cpu_has_it(monkeypatch):
    for native, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(devices, "_cpu_has_fast_bf16", lambda native=native: native)
        assert choose_device("cpu").dtype == dtype


def test_windows_shrink_until_they_fit(monkeypatch):
    network = stage("s", ("liver",), 2.0).network
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1 << 40)
    assert memory.plan_window(network, (128, 128, 144), CPU) == (128, 128, 144)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 40_000_000)
    small = memory.plan_window(network, (128, 128, 144), CPU)
    assert memory.window_bytes(network, small, CPU) <= 24_000_000 and max(small) < 128
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    with pytest.raises(ResourceError, match="not enough free memory"):
        memory.plan_window(network, (128, 128, 144), CPU)


# -- pipeline ------------------------------------------------------------------------------------------------------

GEOMETRY = Geometry((70, 60, 50), (1.5, 1.5, 2.0), (-50.0, -40.0, 10.0))
LIVER = ((-10.0, 0.0, 60.0), 22.0, 90)
FAR = ((45.0, 35.0, 95.0), 8.0, 90)
COARSE = stage("coarse", ("liver", "lungs"), 6.0, postprocessing={"liver": {"keep_largest": 1}})
FINE = stage("fine", ("liver",), 2.0, {"stage": "coarse", "margin_mm": 10.0})


def coarse_to_fine():
    return KnownPipeline([COARSE, FINE], {"coarse": Threshold(-0.05, 5.0), "fine": Threshold(-0.05)})


def test_coarse_to_fine_finds_the_ball_and_looks_closely_only_there():
    volume = balls(GEOMETRY, [LIVER, FAR])
    pipeline = coarse_to_fine()
    result = pipeline.segment(volume, ["liver"])
    truth = balls(GEOMETRY, [LIVER]).array > 0
    assert result.array.dtype == np.uint8 and result.geometry == GEOMETRY
    assert dice(result.mask("liver"), truth) > 0.97
    (seen,) = pipeline.networks.known["fine"].seen
    assert np.prod(seen) <= 48**3, "the fine stage must not see the whole scan (53 x 45 x 50 voxels)"


def test_the_fine_stage_finds_nothing_far_from_what_the_coarse_one_found():
    wide = stage("fine", ("liver",), 2.0, {"stage": "coarse", "margin_mm": 60.0})
    pipeline = KnownPipeline([COARSE, wide], {"coarse": Threshold(-0.05, 5.0), "fine": Threshold(-0.05)})
    result = pipeline.segment(balls(GEOMETRY, [LIVER, FAR]), ["liver"])
    assert dice(result.mask("liver"), balls(GEOMETRY, [LIVER]).array > 0) > 0.97
    assert not (result.mask("liver") & (balls(GEOMETRY, [FAR]).array > 0)).any()


def test_an_organ_that_is_not_there_gives_an_empty_result_and_a_sentence():
    progress = Progress()
    result = coarse_to_fine().segment(balls(GEOMETRY, []), ["liver", "lungs"], progress)
    assert not result.array.any()
    assert progress.warnings == ["No liver found in balls.", "No lungs found in balls."]


def test_labels_are_numbered_in_the_order_asked_and_only_needed_stages_run():
    pipeline = KnownPipeline([COARSE, FINE], {"coarse": Threshold(0.3, 0.3), "fine": Threshold(0.3)})
    result = pipeline.segment(balls(GEOMETRY, [LIVER]), ["lungs"])
    assert result.value("lungs") == 1 and result.mask("lungs").any() and pipeline.networks.known["fine"].seen == []
    result = pipeline.segment(balls(GEOMETRY, [LIVER]), ["lungs", "liver"])
    assert [label.name for label in result.labels] == ["lungs", "liver"]
    assert result.mask("liver").any()


def test_where_labels_meet_the_surer_one_wins():
    stages = [stage("one", ("liver",), 2.0), stage("two", ("lungs",), 2.0)]
    volume = balls(GEOMETRY, [LIVER])
    for sure, order in (("liver", ("liver", "lungs")), ("liver", ("lungs", "liver")), ("lungs", ("liver", "lungs"))):
        levels = {"one": 0.3 if sure == "liver" else 0.85, "two": 0.85 if sure == "liver" else 0.3}
        result = KnownPipeline(stages, {n: Threshold(v) for n, v in levels.items()}).segment(volume, order)
        assert result.mask(sure).sum() > 5 * max(1, result.mask("lungs" if sure == "liver" else "liver").sum())


def test_softmax_stages_give_the_class_with_the_highest_probability():
    class Classes(torch.nn.Module):
        def forward(self, x):  # three classes, none above one half inside the ball
            inside = (x > 0.3).float()
            return torch.cat([1.0 - inside, inside * 1.0, inside * 1.2], dim=1)

    softmax = stage("only", ("background", "liver", "lungs"), 2.0, activation="softmax")
    result = KnownPipeline([softmax], {"only": Classes()}).segment(balls(GEOMETRY, [LIVER]), ["liver", "lungs"])
    assert not result.mask("liver").any() and result.mask("lungs").sum() > 5000


@pytest.mark.parametrize("order,flips", [((0, 1, 2), (True, False, True)), ((2, 0, 1), (False, True, False))])
def test_the_same_patient_stored_otherwise_gets_the_same_organ(order, flips):
    volume = balls(GEOMETRY, [LIVER, FAR])
    expected = coarse_to_fine().segment(volume, ["liver"])
    stored = Volume.from_sitk(sitk.Flip(sitk.PermuteAxes(volume.to_sitk(), order), flips))
    result = coarse_to_fine().segment(stored, ["liver"])
    assert result.geometry == stored.geometry
    back = sitk.Resample(result.to_sitk(), expected.to_sitk(), sitk.Transform(), sitk.sitkNearestNeighbor)
    assert np.array_equal(sitk.GetArrayFromImage(back), expected.array)


def test_an_oblique_scan_gets_the_organ_in_the_same_place():
    turn = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.0, 0.05, np.deg2rad(17)).GetMatrix()
    oblique = Geometry((80, 70, 50), (1.5, 1.5, 2.0), (-40.0, -70.0, 10.0), turn)
    volume = balls(oblique, [LIVER])
    result = coarse_to_fine().segment(volume, ["liver"])
    assert dice(result.mask("liver"), volume.array > 0) > 0.96


def test_unknown_label_names_the_model_and_what_it_knows():
    with pytest.raises(SettingError, match=r"known-1.0.0 does not know 'spleen'; it knows liver, lungs"):
        coarse_to_fine().segment(balls(GEOMETRY, [LIVER]), ["spleen"])


def test_out_of_memory_shrinks_windows_then_moves_to_the_cpu(monkeypatch):
    class Hungry(Threshold):
        def forward(self, x):
            if max(x.shape) > 48 and len(self.seen) < 6:
                self.seen.append(tuple(x.shape))
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(x)

    progress = Progress()
    network = Hungry(0.3)
    pipeline = KnownPipeline([stage("only", ("liver",), 1.0, window=(128, 128, 128))], {"only": network})
    result = pipeline.segment(balls(GEOMETRY, [LIVER]), ["liver"], progress)
    assert result.mask("liver").any()
    assert any("smaller windows" in sentence for sentence in progress.warnings)


def test_a_gpu_that_is_full_already_is_left_for_the_cpu(monkeypatch):
    def free(device):
        return 8 << 30 if device.name == "cpu" else 10 << 20

    monkeypatch.setattr("Med3DCore.inference.memory.free_bytes", free)
    progress = Progress()
    pipeline = KnownPipeline([stage("only", ("liver",), 1.0)], {"only": Threshold(0.3)})
    pipeline.networks.device = replace(pipeline.networks.device, name="cuda:0")
    assert pipeline.segment(balls(GEOMETRY, [LIVER]), ["liver"], progress).mask("liver").any()
    assert pipeline.networks.device.name == "cpu" and any(
        "no memory left" in sentence for sentence in progress.warnings
    )


def test_progress_rises_to_the_end_and_a_time_line_is_kept():
    seen = []
    progress = Progress(lambda name, fraction, seconds_left: seen.append(fraction))
    coarse_to_fine().segment(balls(GEOMETRY, [LIVER]), ["liver"], progress)
    assert seen == sorted(seen) and seen[-1] <= 1.0
    assert {"coarse: prepare", "coarse: network", "fine: network", "restore"} <= set(progress.timeline)


def test_cancelling_at_any_moment_stops_the_pipeline():
    total = []
    coarse_to_fine().segment(balls(GEOMETRY, [LIVER]), ["liver"], Progress(is_cancelled=lambda: total.append(1)))
    for moment in range(0, len(total), 3):
        count = iter(range(1000))
        with pytest.raises(Cancelled):
            coarse_to_fine().segment(
                balls(GEOMETRY, [LIVER]), ["liver"], Progress(is_cancelled=lambda c=count, m=moment: next(c) >= m)
            )


def test_an_organ_that_loses_every_voxel_to_another_is_told():
    progress = Progress()
    stages = [stage("one", ("liver",), 2.0), stage("two", ("lungs",), 2.0)]
    pipeline = KnownPipeline(stages, {"one": Threshold(0.3), "two": Threshold(0.3)})
    result = pipeline.segment(balls(GEOMETRY, [LIVER]), ["liver", "lungs"], progress)
    assert result.mask("liver").any() and "No lungs found in balls." in progress.warnings
    assert [flag["flag"] for flag in progress.flags if flag["label"] == "lungs"] == ["missing"]


def test_a_cpu_out_of_memory_shrinks_windows_then_gives_up_in_a_sentence():
    class Starving(Threshold):
        def forward(self, x):
            self.seen.append(max(x.shape))
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    network = Starving(0.3)
    pipeline = KnownPipeline([stage("only", ("liver",), 1.0, window=(96, 96, 96))], {"only": network})
    with pytest.raises(ResourceError, match="not enough free memory"):
        pipeline.segment(balls(GEOMETRY, [LIVER]), ["liver"])
    assert network.seen[0] > network.seen[-1] >= 48


def test_a_scan_too_large_to_be_a_patient_is_refused_before_the_work(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 1 << 34)
    huge = Volume(np.zeros((2, 2, 2), np.int16), Geometry((2, 2, 2), (9e4, 9e4, 9e4)), "huge")
    with pytest.raises(ResourceError, match=r"huge is 180000 x 180000 x 180000 mm large.*correct its spacing"):
        coarse_to_fine().segment(huge, ["liver"])


def test_segment_warns_of_organs_cut_by_the_edge(monkeypatch):
    pipeline = coarse_to_fine()
    monkeypatch.setattr("Med3DCore.inference.segment.Pipeline", lambda *arguments: pipeline)
    cut = balls(GEOMETRY, [((-10.0, 0.0, 100.0), 22.0, 90)])
    result = segment(cut, ["liver"], pipeline.package, "cpu")
    sentence = "Liver: cut by the edge of the scan; the volume is that of the part inside."
    assert result.warnings == (sentence,)
    assert result.report()["flags"] == [{"label": "liver", "flag": "cut", "sentence": sentence}]
    report = result.report()
    assert report["labels"] == [
        {"name": "liver", "value": 1, "volume_ml": pytest.approx(result.labels.volume_ml("liver"), abs=0.06)}
    ]
    whole = segment(balls(GEOMETRY, [LIVER]), ["liver"], pipeline.package, "cpu")
    assert [flag["flag"] for flag in whole.flags] == ["small"], "a ball of 42 mL, not cut"
