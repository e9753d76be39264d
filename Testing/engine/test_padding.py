"""Voxels that no scanner measured: found, continued into, and never part of an organ."""

import numpy as np
import pytest
from test_inference import coarse_to_fine

from Med3DCore.geometry import Geometry
from Med3DCore.inference.scan_end import end_at_padding
from Med3DCore.io import write_volume
from Med3DCore.labels import find_labels
from Med3DCore.preprocessing import Preprocessing, Window
from Med3DCore.preprocessing.padding import continue_into_padding
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import UNKNOWN
from Med3DCore.training.cases.description import case_from_dict
from Med3DCore.training.cases.prepared import prepare_case
from Med3DCore.volume import LabelMap, Volume

GRID = Geometry((60, 56, 50), (2.0, 2.0, 2.5), (-60.0, -56.0, -60.0))
Z, Y, X = (
    n[..., None, None] if i == 0 else n[:, None] if i == 1 else n for i, n in enumerate(map(np.arange, (50, 56, 60)))
)
TILTED = Z - 0.3 * Y + 0.2 * X < 26  # what the scanner measured: the rest of the grid is padding
LIVER = (((Z - 24) * 2.5) ** 2 + ((Y - 28) * 2) ** 2 + ((X - 30) * 2) ** 2) < 25**2


def body(air=-1000.0):
    """A cylinder of tissue with a liver in clipped air; a voxel of its surface is half of both."""
    radius = np.hypot((Y - 27.5) / 20, (X - 29.5) / 25) * np.ones_like(Z)
    array = np.where(radius < 0.96, -90.0, np.where(radius < 1.03, (air - 90) / 2, air))
    array[LIVER] = 90
    return array.astype(np.int16)


def padded(value, measured=TILTED):
    return Volume(np.where(measured, body(), value).astype(np.int16), GRID, "turned")


def parts_of(volume):
    """What is seen of a volume, and where it is padding."""
    seen = continue_into_padding(volume)
    return seen.volume, seen.padding


def test_a_scan_without_padding_stays_as_it_is():
    volume = Volume(body(), GRID)
    seen = continue_into_padding(volume)
    assert seen.volume is volume and seen.padding is None and np.array_equal(seen.bounds(), GRID.bounds())
    noise = np.random.default_rng(0).normal(0, 20, GRID.shape)
    noisy = Volume((body() + noise).astype(np.int16), GRID)
    assert continue_into_padding(noisy).volume is noisy


@pytest.mark.parametrize("value", [-1000, -1024, -3024, 0])
def test_tissue_goes_on_where_a_turned_scan_ends(value):
    volume = padded(value)
    seen, padding = parts_of(volume)
    assert np.array_equal(seen.array[TILTED], volume.array[TILTED]) and seen.geometry == GRID
    assert padding[~TILTED].all() and (padding & TILTED).sum() <= (volume.array[TILTED] == value).sum()
    height = (Z - 0.3 * Y + 0.2 * X - 26) * 2.5 / np.sqrt(1 + (0.3 * 1.25) ** 2 + (0.2 * 1.25) ** 2)  # mm above the end
    inside = (np.hypot((Y - 27.5) / 20, (X - 29.5) / 25) < 0.6) & (height > 0)
    assert np.all(seen.array[inside & (height < 15)] > -100), "tissue near the end"
    far = seen.array[height > 25]
    assert np.all(far == min(value, -1000)) if value != -1024 else np.all(far == -1024), "air further on"
    outside = np.hypot((Y - 27.5) / 20, (X - 29.5) / 25) > 1.6
    assert np.all(seen.array[outside & (height < 0)] == -1000), "air beside the body stays air"


def test_a_body_wider_than_the_field_of_view_goes_on():
    circle = (np.hypot((Y - 27.5), (X - 29.5)) < 18) & (Z >= 0)
    seen, padding = parts_of(padded(-3024, circle))
    assert np.array_equal(padding, ~circle)
    ring = ~circle & (np.hypot((Y - 27.5), (X - 29.5)) < 24)
    assert np.all(seen.array[ring] > -100)


def test_only_what_was_measured_is_looked_at():
    lower = padded(-3024, Z + 0 * Y + 0 * X < 26)
    low, high = continue_into_padding(lower).bounds()
    assert np.allclose(low, GRID.bounds()[0], atol=11) and np.allclose(high[:2], GRID.bounds()[1][:2], atol=11)
    end = GRID.origin[2] + 25.5 * GRID.spacing[2]
    assert end <= high[2] < end + 11
    few = continue_into_padding(padded(-3024, (Z > 20) & (Z < 24) & (Y + X >= 0)))
    assert few.padding is not None
    assert np.array_equal(few.bounds(), GRID.bounds()), "three slices lie between those that are looked at"


def test_fine_grids_are_filled_without_gaps():
    fine = Volume(np.repeat(np.repeat(padded(-1000).array, 3, 1), 3, 2), Geometry((180, 168, 50), (2 / 3, 2 / 3, 2.5)))
    seen, padding = parts_of(fine)
    coarse, expected = parts_of(padded(-1000))
    assert (padding != np.repeat(np.repeat(expected, 3, 1), 3, 2)).mean() < 0.01
    assert (seen.array != np.repeat(np.repeat(coarse.array, 3, 1), 3, 2)).mean() < 0.01


def test_an_organ_ends_where_the_scan_does_and_is_told_to_be_cut():
    progress = Progress()
    result = coarse_to_fine().segment(padded(-1000), ["liver"], progress)
    found, truth = result.mask("liver"), LIVER & TILTED
    assert truth.sum() > 2000 and (LIVER & ~TILTED).sum() > 500
    assert not found[~TILTED].any()
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.97
    assert "Liver: cut by the edge of the scan; the volume is that of the part inside." in progress.warnings
    assert "small" not in [flag["flag"] for flag in progress.flags]


def test_labels_beside_padding_are_named():
    array, padding = np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 4), bool)
    padding[3] = True
    array[2, 1, 1], array[1, 2, 2], array[3, 3, 3] = 1, 2, 2
    labels = LabelMap(array, Geometry((4, 4, 4), (1.0, 1.0, 1.0)), "scan", find_labels(["liver", "lungs"]))
    assert end_at_padding(labels, padding) == {"liver", "lungs"}
    assert array[2, 1, 1] == 1 and array[1, 2, 2] == 2 and not array[3].any()
    assert end_at_padding(labels, padding) == {"liver"}


def test_padding_of_a_training_case_goes_on_too_and_teaches_nothing(tmp_path):
    volume, label = padded(0), (LIVER & TILTED).astype(np.uint8)
    write_volume(volume, tmp_path / "ct.nii.gz")
    write_volume(Volume(label, GRID), tmp_path / "label.nii.gz")
    entry = {"name": "a", "image": "ct.nii.gz", "label": "label.nii.gz", "values": {"liver": 1}, "annotated": ["liver"]}
    case = case_from_dict({**entry, "patient": "a", "split": "training"}, tmp_path)
    prepared = prepare_case(case, Preprocessing(GRID.spacing, Window(-160, 240)), ("liver",))
    assert np.array_equal(prepared.target[0] == UNKNOWN, ~TILTED)
    assert np.array_equal(prepared.target[0][TILTED], label[TILTED])
    seen, _ = parts_of(volume)
    assert np.allclose(prepared.image, np.clip(seen.array, prepared.image.min(), prepared.image.max()), atol=1e-3)
