"""Label maps, plain and as a segmentation of 3D Slicer."""

from __future__ import annotations

import colorsys
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from test_io_formats import GEOMETRIES, a_volume

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io import read_label_map, write_label_map, write_volume
from Med3DCore.labels import LABELS, find_labels
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap, Volume

LIVER_ENTRY = (
    "TerminologyEntry:Segmentation category and type - 3D Slicer General Anatomy list"
    "~SCT^123037004^Anatomical Structure~SCT^10200004^Liver~^^~Anatomic codes - DICOM master list~^^~^^|"
)
TISSUE_ENTRY = LIVER_ENTRY.replace("SCT^10200004^Liver", "SCT^85756007^Tissue").replace(
    "SCT^123037004^Anatomical Structure", "SCT^85756007^Tissue"
)


def a_label_map(
    geometry: Geometry = GEOMETRIES["oblique"], names: tuple = ("liver", "left_lung", "spleen")
) -> LabelMap:
    array = np.random.default_rng(2).integers(0, len(names) + 1, geometry.shape).astype(np.uint8)
    return LabelMap(array, geometry, "sample", find_labels(names))


def write_segmentation(path, layers: list[np.ndarray], segments: list[dict], **fields: str) -> None:
    """A .seg.nrrd as another program may write it: one or several layers, any keys."""
    array = layers[0] if len(layers) == 1 else np.stack(layers, axis=-1)
    image = sitk.GetImageFromArray(array, isVector=len(layers) > 1)
    for number, segment in enumerate(segments):
        for key, value in segment.items():
            image.SetMetaData(f"Segment{number}_{key}", value)
    for key, value in fields.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path))


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_segmentation_comes_back_whole(tmp_path, name):
    labels = a_label_map(GEOMETRIES[name])
    write_label_map(labels, tmp_path / "result.seg.nrrd")
    back = read_label_map(tmp_path / "result.seg.nrrd")
    assert back.labels == labels.labels
    assert back.array.dtype == np.uint8
    assert np.array_equal(back.array, labels.array)
    assert back.geometry.is_close(labels.geometry, 1e-3)


def test_every_known_label_comes_back(tmp_path):
    labels = a_label_map(names=tuple(LABELS))
    write_label_map(labels, tmp_path / "all.seg.nrrd")
    assert read_label_map(tmp_path / "all.seg.nrrd").labels == tuple(LABELS.values())


def test_header_fields_are_those_of_slicer(tmp_path):
    write_label_map(a_label_map(), tmp_path / "result.seg.nrrd")
    header = (tmp_path / "result.seg.nrrd").read_bytes().split(b"\n\n")[0].decode()
    fields = dict(line.split(":=", 1) for line in header.splitlines() if ":=" in line)
    assert "space: left-posterior-superior" in header
    assert fields["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert fields["Segmentation_ContainedRepresentationNames"] == "Binary labelmap|"
    assert fields["Segmentation_ReferenceImageExtentOffset"] == "0 0 0"
    assert fields["Segment0_ID"] == "liver"
    assert fields["Segment0_Name"] == "Liver"
    assert fields["Segment0_Color"] == "0.866667 0.509804 0.396078"
    assert fields["Segment0_Extent"] == "0 6 0 5 0 4"
    assert fields["Segment0_Tags"] == LIVER_ENTRY
    assert [fields[f"Segment{n}_LabelValue"] for n in range(3)] == ["1", "2", "3"]
    assert {fields[f"Segment{n}_Layer"] for n in range(3)} == {"0"}
    assert "~SCT^39607008^Lung~SCT^7771000^Left~" in fields["Segment1_Tags"]


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_plain_label_images(tmp_path, ending):
    labels = a_label_map()
    write_label_map(labels, tmp_path / f"result{ending}")
    named = read_label_map(tmp_path / f"result{ending}", names=["liver", "left_lung", "lesion B"])
    assert np.array_equal(named.array, labels.array)
    assert named.array.dtype == np.uint8
    assert named.labels[:2] == labels.labels[:2]
    assert (named.labels[2].name, named.labels[2].title) == ("lesion_b", "lesion B")
    assert np.array_equal(named.mask("lesion_b"), labels.array == 3)
    unnamed = read_label_map(tmp_path / f"result{ending}")
    assert [label.name for label in unnamed.labels] == ["label_1", "label_2", "label_3"]
    assert len({label.colour for label in unnamed.labels}) == 3


def test_an_empty_label_map_is_a_label_map(tmp_path):
    labels = a_label_map()
    write_label_map(replace(labels, array=np.zeros_like(labels.array)), tmp_path / "none.nii.gz")
    assert read_label_map(tmp_path / "none.nii.gz").labels == ()
    assert read_label_map(tmp_path / "none.nii.gz", names=["liver"]).volume_ml("liver") == 0


def test_whole_numbers_stored_as_real_ones(tmp_path):
    labels = a_label_map()
    sitk.WriteImage(sitk.GetImageFromArray(labels.array.astype(np.float64)), str(tmp_path / "labels.nii.gz"))
    assert np.array_equal(read_label_map(tmp_path / "labels.nii.gz").array, labels.array)


def test_what_a_scaling_left_of_whole_numbers_is_whole(tmp_path):
    labels = a_label_map()
    sitk.WriteImage(sitk.GetImageFromArray(labels.array * 0.9999999), str(tmp_path / "labels.nii.gz"))
    assert np.array_equal(read_label_map(tmp_path / "labels.nii.gz").array, labels.array)


@pytest.mark.parametrize(("value", "dtype"), [(0.5, np.float32), (-1, np.int16), (256, np.int16), (70000, np.int32)])
def test_values_that_are_no_labels(tmp_path, value, dtype):
    volume = a_volume()
    array = volume.array.astype(dtype)
    array[2, 3, 4] = value
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "ct.nii.gz"))
    with pytest.raises(VolumeError, match=r"ct\.nii\.gz is no label map"):
        read_label_map(tmp_path / "ct.nii.gz")


def test_more_values_than_names(tmp_path):
    write_label_map(a_label_map(), tmp_path / "labels.nrrd")
    with pytest.raises(VolumeError, match="value 3 but only 2"):
        read_label_map(tmp_path / "labels.nrrd", names=["liver", "spleen"])


def test_any_values_in_any_order_become_one_to_n(tmp_path):
    array = np.zeros((3, 4, 5), np.uint8)
    array[0], array[1], array[2, 0] = 7, 200, 50  # 50 belongs to no segment
    write_segmentation(
        tmp_path / "a.seg.nrrd",
        [array],
        [
            {
                "ID": "x",
                "Name": "Something",
                "LabelValue": "200",
                "Layer": "0",
                "Color": "0 0.5 1",
                "Tags": TISSUE_ENTRY,
            },
            {"ID": "y", "Name": "My liver", "LabelValue": "7", "Layer": "0", "Tags": LIVER_ENTRY},
        ],
    )
    labels = read_label_map(tmp_path / "a.seg.nrrd")
    assert [(label.name, label.title) for label in labels.labels] == [("something", "Something"), ("liver", "My liver")]
    assert labels.labels[0].colour == (0, 128, 255)
    assert labels.array[:, 0, 0].tolist() == [2, 1, 0]


def test_a_name_is_enough_where_slicer_was_told_no_meaning(tmp_path):
    array = np.ones((3, 4, 5), np.uint8)
    write_segmentation(tmp_path / "a.seg.nrrd", [array], [{"ID": "s", "Name": "Left lung", "Tags": TISSUE_ENTRY}])
    assert read_label_map(tmp_path / "a.seg.nrrd").labels[0] == LABELS["left_lung"]


def test_codes_win_over_a_name(tmp_path):
    array = np.ones((3, 4, 5), np.uint8)
    tumour = LIVER_ENTRY.replace("SCT^10200004^Liver", "SCT^108369006^Neoplasm")
    write_segmentation(tmp_path / "a.seg.nrrd", [array], [{"ID": "s", "Name": "Liver", "Tags": tumour}])
    assert read_label_map(tmp_path / "a.seg.nrrd").labels[0].type == ("SCT", "108369006", "Neoplasm")


def test_two_segments_of_one_organ_keep_apart(tmp_path):
    array = np.arange(60, dtype=np.uint8).reshape(3, 4, 5) % 3
    segments = [{"ID": f"s{n}", "Name": "Liver", "LabelValue": str(n), "Tags": LIVER_ENTRY} for n in (1, 2)]
    write_segmentation(tmp_path / "a.seg.nrrd", [array], segments)
    labels = read_label_map(tmp_path / "a.seg.nrrd")
    assert [label.name for label in labels.labels] == ["liver", "liver_2"]
    assert np.array_equal(labels.array, array)


@pytest.mark.parametrize("old_slicer", [False, True])
def test_overlapping_segments_in_layers(tmp_path, old_slicer):
    first, second = np.zeros((2, 3, 4, 5), np.uint8)
    first[:2], second[1:] = 1, 1
    segments = [{"ID": "a", "Name": "Liver", "LabelValue": "1", "Layer": "0"}, {"ID": "b", "Name": "Spleen"}]
    segments[1] |= {"LabelValue": "1", "Layer": "1"}
    if old_slicer:
        segments = [{key: one[key] for key in ("ID", "Name")} for one in segments]
    write_segmentation(tmp_path / "a.seg.nrrd", [first, second], segments)
    progress = Progress()
    labels = read_label_map(tmp_path / "a.seg.nrrd", progress=progress)
    assert labels.array[:, 0, 0].tolist() == [1, 3, 2] and labels.overlaps == ((1, 2),)
    assert [label.name for label in labels.labels] == ["liver", "spleen"] and not progress.warnings
    assert np.array_equal(labels.mask("liver"), first > 0) and np.array_equal(labels.mask("spleen"), second > 0)
    with pytest.raises(VolumeError, match=r"labels of a.seg.nrrd overlap, for which .*b.seg.nrrd has no place"):
        write_label_map(labels, tmp_path / "b.seg.nrrd")


def read_with_warnings(path) -> tuple[LabelMap, list[str]]:
    progress = Progress()
    return read_label_map(path, progress=progress), progress.warnings


def halves(dtype: type = np.uint8) -> np.ndarray:
    """1 in the first slice, 2 in the second, nothing in the third."""
    array = np.zeros((3, 4, 5), dtype)
    array[0], array[1] = 1, 2
    return array


def test_two_segments_with_one_value_are_told(tmp_path):
    segments = [{"ID": name, "Name": name, "LabelValue": "1", "Layer": "0"} for name in ("A", "B")]
    write_segmentation(tmp_path / "a.seg.nrrd", [halves()], segments)
    labels, warnings = read_with_warnings(tmp_path / "a.seg.nrrd")
    assert labels.array[:, 0, 0].tolist() == [1, 0, 0]
    assert "'A' and 'B' have the same LabelValue 1" in warnings[0]
    assert "'B' is empty" in warnings[0]
    assert "20 voxels" in warnings[1] and "belong to no segment" in warnings[1]


def test_segments_of_one_layer_without_values_are_numbered(tmp_path):
    write_segmentation(tmp_path / "a.seg.nrrd", [halves()], [{"ID": name, "Name": name} for name in ("A", "B")])
    labels, warnings = read_with_warnings(tmp_path / "a.seg.nrrd")
    assert labels.array[:, 0, 0].tolist() == [1, 2, 0]
    assert len(warnings) == 1 and "which value 'A', 'B' has" in warnings[0]
    segments = [{"ID": "A", "Name": "A"}, {"ID": "B", "Name": "B", "LabelValue": "1"}]
    write_segmentation(tmp_path / "a.seg.nrrd", [halves()], segments)
    assert read_with_warnings(tmp_path / "a.seg.nrrd")[0].array[:, 0, 0].tolist() == [2, 1, 0]


def test_segments_without_id_and_with_gaps_in_their_numbers(tmp_path):
    path = tmp_path / "a.seg.nrrd"
    image = sitk.GetImageFromArray(halves())
    for number, value in ((3, 1), (11, 2)):
        image.SetMetaData(f"Segment{number}_Name", f"Part {number}")
        image.SetMetaData(f"Segment{number}_LabelValue", str(value))
    sitk.WriteImage(image, str(path))
    labels, warnings = read_with_warnings(path)
    assert [label.title for label in labels.labels] == ["Part 3", "Part 11"]
    assert labels.array[:, 0, 0].tolist() == [1, 2, 0]
    assert warnings == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint16])
def test_whole_numbers_of_any_type_are_segments(tmp_path, dtype):
    segments = [{"ID": name, "Name": name, "LabelValue": str(value)} for value, name in enumerate("AB", start=1)]
    write_segmentation(tmp_path / "a.seg.nrrd", [halves(dtype)], segments)
    assert read_with_warnings(tmp_path / "a.seg.nrrd")[0].array[:, 0, 0].tolist() == [1, 2, 0]
    write_segmentation(tmp_path / "a.seg.nrrd", [halves(np.float32) / 2], segments)
    with pytest.raises(VolumeError, match="stand for no segments"):
        read_label_map(tmp_path / "a.seg.nrrd")


def test_missing_layers_are_guessed_with_a_word(tmp_path):
    first, second = np.zeros((2, 3, 4, 5), np.uint8)
    first[0], second[1] = 1, 1
    segments = [{"ID": "A", "Name": "A", "LabelValue": "1", "Layer": "0"}, {"ID": "B", "Name": "B", "LabelValue": "1"}]
    write_segmentation(tmp_path / "a.seg.nrrd", [first, second], segments)
    labels, warnings = read_with_warnings(tmp_path / "a.seg.nrrd")
    assert labels.array[:, 0, 0].tolist() == [1, 2, 0]
    assert len(warnings) == 1 and "in which of them 'B' lies" in warnings[0]


@pytest.mark.parametrize(
    ("shape", "segment", "fields", "expected"),
    [
        ((1, 1, 1), {"ID": "a"}, {}, "no grid"),
        ((3, 4, 5), {"ID": "a", "Layer": "3"}, {}, "lacks layer 3"),
        ((3, 4, 5), {"ID": "a"}, {"Segmentation_MasterRepresentation": "Fractional labelmap"}, "Fractional labelmap"),
        ((3, 4, 5), {"ID": "a", "LabelValue": "x"}, {}, "cannot be understood"),
        ((3, 4, 5), {"ID": "a", "LabelValue": "70000"}, {}, "cannot be understood"),
        ((3, 4, 5), {"ID": "a", "Color": "red green blue"}, {}, "cannot be understood"),
    ],
)
def test_segmentations_that_cannot_be_read(tmp_path, shape, segment, fields, expected):
    write_segmentation(tmp_path / "a.seg.nrrd", [np.ones(shape, np.uint8)], [{"Name": "A", **segment}], **fields)
    with pytest.raises(VolumeError, match=expected) as caught:
        read_label_map(tmp_path / "a.seg.nrrd")
    assert "a.seg.nrrd" in str(caught.value)


def test_dicom_and_colour_are_no_label_maps(tmp_path):
    with pytest.raises(VolumeError, match="is a folder; give a label map file"):
        read_label_map(tmp_path)
    sitk.WriteImage(sitk.Image((4, 4, 4), sitk.sitkVectorUInt8, 3), str(tmp_path / "rgb.nrrd"))
    with pytest.raises(VolumeError, match="3 values in each voxel"):
        read_label_map(tmp_path / "rgb.nrrd")


def test_new_labels_are_clearly_coloured(tmp_path):
    array = (np.arange(60) % 13).astype(np.uint8).reshape(3, 4, 5)
    write_volume(Volume(array, Geometry((5, 4, 3))), tmp_path / "labels.nrrd")
    for label in read_label_map(tmp_path / "labels.nrrd").labels:
        _, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in label.colour))
        assert saturation > 0.5
        assert value > 0.8
