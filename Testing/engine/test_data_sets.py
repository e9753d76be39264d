"""Data sets as people have them: each form gives the same cases."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import write_series
from test_data_set_checks import kinds
from training_boxes import SPACING, VALUES, write_boxes, write_case

from Med3DCore.errors import DataError
from Med3DCore.io import read_label_map, read_volume, write_label_map, write_volume
from Med3DCore.io.label_names import label_for, our_name
from Med3DCore.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.training.cases.cache import CaseCache
from Med3DCore.training.cases.case import UNKNOWN, training_spacings
from Med3DCore.training.cases.prepared import prepare_case
from Med3DCore.training.data_sets import list_cases, read_data_set
from Med3DCore.training.data_sets.check import check_data_set
from Med3DCore.training.data_sets.names import named_values, parse_values
from Med3DCore.volume import LabelMap, Volume


def place(folder, pairs):
    """Write a case for each pair of image and label names, which may lie in subfolders."""
    for seed, pair in enumerate(pairs):
        write_case(folder, "made", seed)
        for made, name in zip(("made_ct.nii.gz", "made_seg.nii.gz"), pair, strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / made).rename(folder / name)
    return folder


def summary(cases):
    return [(case.name, case.image.name, case.label.name, case.split) for case in cases]


@pytest.mark.parametrize(
    "image,label,name",
    [
        ("a_ct.nii.gz", "a_seg.nii.gz", "a"),
        ("a.nii.gz", "a_label.nii.gz", "a"),
        ("imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "a"),
        ("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz", "a"),
        ("img/a.nii.gz", "label/a.nii.gz", "a"),
        ("images/a_img.nii.gz", "masks/a_mask.nii.gz", "a"),
        ("volume-7.nii.gz", "segmentation-7.nii.gz", "7"),
        ("patient 1/ct.nii.gz", "patient 1/labels.nii.gz", "patient 1"),
        ("day1/a/CT.nii.gz", "day1/a/Segmentation.nii.gz", "day1_a"),
    ],
)
def test_pairs_are_found_by_their_names(tmp_path, image, label, name):
    place(tmp_path, [(image, label)])
    (case,) = read_data_set(tmp_path, VALUES)
    assert (case.name, case.patient) == (name, name)
    assert (case.image, case.label) == (tmp_path / image, tmp_path / label)
    assert case.values == VALUES and case.annotated == ("liver", "lungs")


def test_split_folders_and_labels_beside_the_pairs(tmp_path):
    pairs = [(f"{part}/{n}_ct.nii.gz", f"{part}/{n}_seg.nii.gz") for part, n in (("train", 1), ("val", 2), ("test", 3))]
    place(tmp_path, pairs)
    (tmp_path / "labels.json").write_text('{"0": "background", "1": "Liver", "2": "Lung"}')
    cases = read_data_set(tmp_path)
    assert [(case.name, case.split) for case in cases] == [("train_1", "training"), ("val_2", "validation")]
    assert cases[0].values == VALUES


def test_a_patient_in_the_folders_of_two_splits_is_found(tmp_path):
    place(tmp_path, [(f"{part}/p01/ct.nii.gz", f"{part}/p01/seg.nii.gz") for part in ("train", "val")])
    assert [(case.name, case.patient) for case in list_cases(tmp_path, VALUES)] == [
        ("train_p01", "p01"),
        ("val_p01", "p01"),
    ]
    with pytest.raises(DataError, match="Patient 'p01' is in both splits"):
        read_data_set(tmp_path, VALUES)


def test_what_has_no_partner_is_told(tmp_path):
    place(tmp_path, [("a_ct.nii.gz", "a_seg.nii.gz"), ("b_ct.nii.gz", "c_seg.nii.gz")])
    (tmp_path / "._a_ct.nii.gz").write_bytes(b"what macOS leaves")
    progress = Progress()
    assert len(read_data_set(tmp_path, VALUES, progress)) == 1
    assert [warning.split(" ")[1] for warning in progress.warnings] == ["image", "label"]
    assert "b_ct.nii.gz has no label" in progress.warnings[0] and "c_seg.nii.gz has no image" in progress.warnings[1]


def test_a_segmentation_of_slicer_names_its_labels_and_may_be_cut_to_them(tmp_path):
    write_case(tmp_path, "a", 1)
    whole = read_label_map(tmp_path / "a_seg.nii.gz")
    low, high = (1, 2, 0), (29, 26, 24)
    array = whole.array[tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1], strict=True))]
    labels = (label_for("Liver", 0), label_for("Lungs", 1))
    write_label_map(LabelMap(array, whole.geometry.crop(low, high), "a", labels), tmp_path / "a.seg.nrrd")
    (tmp_path / "a_ct.nii.gz").rename(tmp_path / "a.nii.gz")
    (tmp_path / "a_seg.nii.gz").unlink()
    (case,) = read_data_set(tmp_path)
    assert case.values == VALUES
    target = prepare_case(case, Preprocessing(SPACING), ("lungs",)).target[0]
    assert np.array_equal(target, whole.array == 2)


def write_decathlon(folder, **changes):
    place(folder, [(f"imagesTr/{name}.nii.gz", f"labelsTr/{name}.nii.gz") for name in ("x_1", "x_2")])
    entries = [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in ("x_1", "x_2")]
    description = {
        "name": "Torso",
        "licence": "CC-BY-SA 4.0",
        "tensorImageSize": "3D",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "liver", "2": "lung"},
        "numTraining": 2,
        "training": entries,
        "test": ["./imagesTs/x_9.nii.gz"],
        **changes,
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def test_decathlon(tmp_path):
    first, second = read_data_set(write_decathlon(tmp_path))
    assert summary([first, second])[0] == ("x_1", "x_1.nii.gz", "x_1.nii.gz", "training")
    assert first.values == VALUES and first.modality == "CT" and first.domain == "Torso"
    assert first.source == {"data": "Torso", "licence": "CC-BY-SA 4.0"}
    assert read_data_set(tmp_path / "dataset.json") == [first, second]


def test_decathlon_with_all_channels_in_one_file(tmp_path):
    """As the brain tumours and prostates are: 4D images with 3D labels."""
    write_decathlon(tmp_path, modality={"0": "T2", "1": "ADC"})
    files = [tmp_path / "imagesTr" / f"x_{number}.nii.gz" for number in (1, 2)]
    both = [read_volume(file) for file in files]
    sitk.WriteImage(sitk.JoinSeries([volume.to_sitk() for volume in both]), str(files[0]))
    progress = Progress()
    case, other = read_data_set(tmp_path, progress=progress)
    assert "takes the first, T2, and not ADC" in progress.warnings[0]
    for frame, volume in enumerate(both):
        clipped = np.clip(volume.array, -260, 310)
        assert np.array_equal(
            prepare_case(replace(case, frame=frame), Preprocessing(SPACING), ("liver",)).image, clipped
        )
    assert not check_data_set([case, other]).breaks()
    assert kinds(check_data_set([replace(case, frame=2)]))[0] == ("bad-volume", "x_1", True)


def test_decathlon_with_several_channels_and_without_labels(tmp_path):
    progress = Progress()
    read_data_set(write_decathlon(tmp_path, modality={"0": "T2", "1": "ADC"}), progress=progress)
    assert "takes the first, T2, and not ADC" in progress.warnings[0]
    for modality in ("CT", ["CT"]):
        assert {case.modality for case in read_data_set(write_decathlon(tmp_path, modality=modality))} == {"CT"}
    for changes, sentence in (
        ({"labels": {"0": "background"}}, "names no label"),
        ({"labels": ["background", "liver"]}, "labels are no table"),
        ({"training": [{"image": "a.nii.gz", "label": ["b.nii.gz"]}]}, "names no image and label"),
    ):
        with pytest.raises(DataError, match=sentence):
            read_data_set(write_decathlon(tmp_path, **changes))


def test_nnunet_with_regions_and_ignore(tmp_path):
    place(tmp_path, [("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")])
    place(tmp_path, [("imagesTr/b_0000.nii.gz", "elsewhere.nii.gz")])
    labels = {"background": 0, "torso organs": [1, 2], "lung": 2, "ignore": 3}
    description = {"channel_names": ["CT"], "labels": labels, "numTraining": 1, "file_ending": "nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    assert len(read_data_set(tmp_path, progress=Progress())) == 1, "as people write it, too"
    description |= {"channel_names": {"0": "CT"}, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    progress = Progress()
    (case,) = read_data_set(tmp_path, progress=progress)
    assert (case.name, case.values, case.ignore) == ("a", {"torso_organs": (1, 2), "lungs": 2}, 3)
    assert "image of the case 'b' has no label" in progress.warnings[0]
    label = read_label_map(case.label)
    label.array[:3] = 3
    write_volume(label, case.label)
    organs, lungs, other = prepare_case(case, Preprocessing(SPACING), ("torso_organs", "lungs", "spleen")).target
    assert (organs[:3] == UNKNOWN).all() and (lungs[:3] == UNKNOWN).all()
    assert np.array_equal(organs[3:] == 1, label.array[3:] > 0) and np.array_equal(lungs[3:] == 1, label.array[3:] == 2)
    assert (other == UNKNOWN).all(), "a label that the data set does not know is not absent from it"


def test_a_table_with_domains(tmp_path):
    for seed, name in enumerate("abc"):
        write_case(tmp_path, name, seed)
    lines = [
        "image;label;patient;split;domain;modality;values;annotated",
        "a_ct.nii.gz;a_seg.nii.gz;p1;train;north;CT;liver=1, Lung=2;liver",
        "b_ct.nii.gz;b_seg.nii.gz;p2;val;south;CT;both=1+2;",
        "c_ct.nii.gz;c_seg.nii.gz;p3;test;south;CT;liver=1;",
    ]
    path = tmp_path / "cases.csv"
    path.write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    progress = Progress()
    a, b = read_data_set(path, progress=progress)
    assert (a.patient, a.split, a.domain, a.modality) == ("p1", "training", "north", "CT")
    assert a.values == VALUES and a.annotated == ("liver",)
    assert (b.split, b.values, b.annotated) == ("validation", {"both": (1, 2)}, ("both",))
    assert "1 cases" in progress.warnings[0]


@pytest.mark.parametrize(
    "text,sentence",
    [
        ("picture,label\na,b\n", "unknown column 'picture'"),
        ("label\nb\n", "no column 'image'"),
        ("image,label,values\na_ct.nii.gz,a_seg.nii.gz,liver\n", "line 2: 'liver' does not say which value"),
        ("image,label\na_ct.nii.gz,a_seg.nii.gz\n", "line 2: it does not say what the label values mean"),
        ("image,label,values,weight\na_ct.nii.gz,a_seg.nii.gz,liver=1,often\n", "line 2: could not convert"),
        ("image,label,values\n", "lists no cases"),
        ("image,label,values\na_ct.nii.gz,a_seg.nii.gz,liver=1,lungs=2\n", "line 2: it has more cells"),
    ],
)
def test_bad_tables_name_the_line(tmp_path, text, sentence):
    write_case(tmp_path, "a", 0)
    (tmp_path / "cases.csv").write_text(text)
    with pytest.raises(DataError, match=sentence):
        read_data_set(tmp_path / "cases.csv")


def test_our_own_description_and_a_plain_list(tmp_path):
    path = write_boxes(tmp_path)
    cases = read_data_set(tmp_path)
    (tmp_path / "list.json").write_text(json.dumps(json.loads(path.read_text())["cases"]))
    assert read_data_set(tmp_path / "list.json") == cases and len(cases) == 3


@pytest.mark.parametrize(
    "name,content,sentence",
    [
        ("gone", None, "There is no file or folder"),
        ("x.json", '{"images": []}', "not a data set that Med3D knows"),
        ("x.json", "[1]", "not a data set description"),
        ("x.json", "{", "not a data set description"),
        ("x", {}, "holds no image with its label"),
        ("x", {"a/dataset.json": "{}"}, "holds some: a; give one of them"),
        ("x", {"labels.json": "[]", "a_ct.nii.gz": "", "a_seg.nii.gz": ""}, "does not say which value is which"),
        ("x", {"a_ct.nii.gz": "", "a_seg.nii.gz": ""}, "Nothing says what the values .* mean"),
        ("x", {"a.nii": "", "a.mha": "", "a_seg.nii": ""}, "has two image files"),
    ],
)
def test_what_is_no_data_set_gets_a_sentence(tmp_path, name, content, sentence):
    for file, text in (content if isinstance(content, dict) else {"": content}).items():
        if text is not None:
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_text(text)
    (tmp_path / name).mkdir() if content == {} else None
    with pytest.raises(DataError, match=sentence):
        read_data_set(tmp_path / name)


@pytest.mark.parametrize(
    "title,name",
    [
        ("Lung", "lungs"),
        ("lung_left", "left_lung"),
        ("Lung_R", "right_lung"),
        ("left kidney", "left_kidney"),
        ("Liver tumour", "liver_tumour"),
        ("L", "l"),
    ],
)
def test_names_of_labels(title, name):
    assert our_name(title) == name


def test_tables_of_labels_either_way_round():
    assert named_values({"0": "background", "1": "liver"}, "x") == ({"liver": 1}, None)
    assert named_values({"background": 0, "liver": [1, 2], "ignore": 9}, "x") == ({"liver": (1, 2)}, 9)
    assert parse_values("liver = 1+2; Lung=3,spleen=4") == {"liver": (1, 2), "lungs": 3, "spleen": 4}
    with pytest.raises(DataError, match="two labels that both mean 'lungs'"):
        named_values({"lung": 1, "lungs": 2}, "x")
    with pytest.raises(DataError, match="'ignore' has several values"):
        named_values({"liver": 1, "ignore": [2, 3]}, "x")


@pytest.mark.parametrize("folder", ["a/ct", "a/DICOM", "a"])
def test_a_folder_with_a_dicom_series_is_an_image(tmp_path, folder):
    """In a folder of pairs as in a table, for the check, for training and for the cache of prepared cases."""
    write_boxes(tmp_path)
    (tmp_path / "dataset.json").unlink()
    hu, label = (read_volume(tmp_path / f"a_{kind}.nii.gz").array for kind in ("ct", "seg"))
    data = tmp_path / "data"
    (data / folder).mkdir(parents=True)
    write_series(data / folder, hu)
    write_volume(Volume(label, read_volume(data / folder).geometry), data / "a" / "seg.nrrd")
    (case,) = read_data_set(data, VALUES)
    assert (case.name, case.image, case.label.name) == ("a", data / folder, "seg.nrrd")
    (tmp_path / "cases.csv").write_text(f"image,label,values,name\ndata/{folder},data/a/seg.nrrd,liver=1 lungs=2,a\n")
    assert read_data_set(tmp_path / "cases.csv") == [replace(case, source={})]
    check = check_data_set([case])
    assert not check.breaks() and check.cases[0].volumes_ml["liver"] > 0
    (spacing,) = training_spacings([case])
    entries = []
    for added in (0, 0, 50):
        write_series(data / folder, hu + added)
        entries.append(CaseCache(tmp_path / "cache").prepare(case, Preprocessing(spacing), ("liver",)).entry)
    assert entries[0] == entries[1] != entries[2], "another scan is prepared anew"
