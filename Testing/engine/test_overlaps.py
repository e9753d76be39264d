"""Labels that overlap: a lesion stays a part of its organ, from files to training, fine-tuning and scores."""

import json
from dataclasses import replace

import numpy as np
import pytest
from training_boxes import SIZE, SPACING, save_parent, write_case

from Med3DCore.cli.main import main
from Med3DCore.errors import Cancelled, DataError, VolumeError
from Med3DCore.evaluation import evaluate
from Med3DCore.geometry import Geometry
from Med3DCore.io import read_label_map, read_volume, write_volume
from Med3DCore.io.label_names import label_for
from Med3DCore.io.overlay import Overlay
from Med3DCore.labels import find_labels
from Med3DCore.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.training.cases.cache import CaseCache
from Med3DCore.training.cases.case import UNKNOWN
from Med3DCore.training.cases.label import labels_in, read_label
from Med3DCore.training.cases.prepared import prepare_case
from Med3DCore.training.data_sets import list_cases, read_data_set
from Med3DCore.training.data_sets.check import check_data_set
from Med3DCore.training.fine_tuning.run_folder import RunFolder
from Med3DCore.training.segmentation.publish import compare_with_truth
from Med3DCore.volume import LabelMap, Volume
from Med3DCore.worker.exchange import read_volume_array, write_volume_array

GRID = Geometry(SIZE, SPACING)
LOBES = [f"lung_{part}_lobe_{side}" for side, parts in (("left", "ul"), ("right", "uml")) for part in parts]
LOBES = [name.replace("_u_", "_upper_").replace("_m_", "_middle_").replace("_l_", "_lower_") for name in LOBES]


def write_organs(folder, name, seed, lesion=True):
    """A case as TotalSegmentator has it: liver, a lesion in it and the five lobes of the lungs, a file each."""
    write_case(folder, "made", seed)
    case = folder / name
    (case / "segmentations").mkdir(parents=True)
    (folder / "made_ct.nii.gz").rename(case / "ct.nii.gz")
    label = read_label_map(folder / "made_seg.nii.gz").array
    (folder / "made_seg.nii.gz").unlink()
    liver, lungs = label == 1, label == 2
    masks = {"liver": liver}
    if lesion:
        z, y, x = (axis[len(axis) // 2] for axis in np.nonzero(liver))
        masks["liver_lesion"] = np.zeros_like(liver)
        masks["liver_lesion"][z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2] = True
        masks["liver_lesion"] &= liver
    rows = np.nonzero(lungs)[1]
    parts = np.linspace(rows.min(), rows.max() + 1, 6).astype(int)
    for lobe, low, high in zip(LOBES, parts, parts[1:], strict=False):
        masks[lobe] = np.zeros_like(lungs)
        masks[lobe][:, low:high] = lungs[:, low:high]
    for organ, mask in masks.items():
        write_volume(Volume(mask.astype(np.uint8), GRID), case / "segmentations" / f"{organ}.nii.gz")
    return masks


def test_values_mean_sets_of_segments():
    overlay = Overlay((1, 1, 6), 3, "x")
    for value, voxels in ((1, [0, 1, 2, 3]), (2, [1, 2]), (3, [2, 3, 4])):
        values = np.zeros((1, 1, 6), np.uint8)
        values[..., voxels] = value
        overlay.lay(values)
    assert overlay.array.ravel().tolist() == [1, 4, 6, 5, 3, 0]
    assert overlay.overlaps == ((1, 2), (1, 3), (1, 2, 3))
    labels = tuple(label_for(name, i) for i, name in enumerate(("organ", "lesion", "vessel")))
    found = LabelMap(overlay.array, Geometry((6, 1, 1)), "x", labels, overlay.overlaps)
    assert found.mask("organ").ravel().tolist() == [True, True, True, True, False, False]
    assert found.volume_ml("vessel") == pytest.approx(0.003)
    assert found.with_overlaps([2]) == (2, 4, 6) and found.members(6) == (1, 2, 3) and found.members(3) == (3,)


def test_more_kinds_of_overlaps_than_values_are_refused():
    overlay = Overlay((1, 1, 300), 9, "x.seg.nrrd")
    with pytest.raises(VolumeError, match=r"x.seg.nrrd overlap in more ways"):
        for bit in range(9):
            overlay.lay(((np.arange(300) >> bit) & 1).astype(np.uint8).reshape(1, 1, 300) * np.uint8(bit + 1))


def test_one_file_an_organ_is_a_data_set(tmp_path):
    masks, _ = (write_organs(tmp_path, f"s000{seed}", seed) for seed in (1, 2))
    first, second = read_data_set(tmp_path)
    assert (first.name, first.patient, first.image, first.label) == (
        "s0001", "s0001", tmp_path / "s0001" / "ct.nii.gz", tmp_path / "s0001" / "segmentations",
    )  # fmt: skip
    assert {"liver", "liver_lesion", "lungs", "left_lung", LOBES[0]} <= set(first.annotated) == set(first.values)
    label = read_label(first, GRID)
    for name in ("liver", "liver_lesion"):
        assert np.array_equal(first.inside(label, name), masks[name]), "nothing is cut out of anything"
    both = np.logical_or.reduce([masks[lobe] for lobe in LOBES])
    assert np.array_equal(first.inside(label, "lungs"), both)
    assert np.array_equal(first.inside(label, "left_lung"), masks[LOBES[0]] | masks[LOBES[1]])
    liver, lesion, lungs = prepare_case(first, Preprocessing(SPACING), ("liver", "liver_lesion", "lungs")).target
    assert np.array_equal(liver, masks["liver"]) and np.array_equal(lesion, masks["liver_lesion"])
    assert np.array_equal(lungs, both)
    assert labels_in(first) == set(first.annotated)
    check = check_data_set([first, second])
    assert not check.breaks()
    assert check.cases[0].volumes_ml["liver"] == pytest.approx(np.count_nonzero(masks["liver"]) * 0.064)


def test_the_table_of_total_segmentator_says_who_is_held_out(tmp_path):
    for seed, name in enumerate(("s0001", "s0002", "s0003")):
        write_organs(tmp_path, name, seed)
    (tmp_path / "meta.csv").write_text("image_id;age;split\ns0001;60;train\ns0002;61;val\ns0003;62;test\n")
    progress = Progress()
    cases = read_data_set(tmp_path, progress=progress)
    assert [(case.name, case.split) for case in cases] == [("s0001", "training"), ("s0002", "validation")]
    assert "1 cases of" in progress.warnings[0]


def test_organs_in_a_table_and_in_a_list(tmp_path):
    write_organs(tmp_path, "s1", 1)
    (tmp_path / "cases.csv").write_text("image,label,name\ns1/ct.nii.gz,s1/segmentations,s1\n")
    (case,) = read_data_set(tmp_path / "cases.csv")
    assert case == replace(read_data_set(tmp_path)[0], source={})
    (tmp_path / "list.json").write_text(
        json.dumps([{"name": "s1", "image": "s1/ct.nii.gz", "label": "s1/segmentations", "values": {"liver": 1}}])
    )
    (case,) = read_data_set(tmp_path / "list.json")
    assert case.inside(read_label(case, GRID), "liver").any()


def test_label_folders_of_other_layouts_are_left_as_they_were(tmp_path):
    """A folder of label files of several cases, or a case's label in a folder of its own, is no folder of organs."""
    write_case(tmp_path, "made", 1)
    for image, label in (("imagesTr/a.nii.gz", "labelsTr/a.nii.gz"), ("b/ct.nii.gz", "b/labels/labels.nii.gz")):
        for made, name in (("made_ct.nii.gz", image), ("made_seg.nii.gz", label)):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes((tmp_path / made).read_bytes())
    for made in ("made_ct.nii.gz", "made_seg.nii.gz"):
        (tmp_path / made).unlink()
    cases = read_data_set(tmp_path, {"liver": 1, "lungs": 2})
    assert [(case.name, case.label.is_file()) for case in cases] == [("b", True), ("a", True)]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: (folder / "Liver.nrrd").write_bytes((folder / "liver.nii.gz").read_bytes()), "both mean"),
        (
            lambda folder: write_volume(Volume(np.zeros((2, 2, 2), np.uint8), Geometry((2, 2, 2))), folder / "x.nii"),
            "another grid",
        ),
        (
            lambda folder: write_volume(
                Volume(np.arange(np.prod(SIZE), dtype=np.uint8).reshape(SIZE[::-1]), GRID), folder / "spleen.nii"
            ),
            "spleen.nii is no mask of one organ",
        ),
    ],
)
def test_folders_that_are_wrong_are_refused(tmp_path, change, sentence):
    write_organs(tmp_path, "s1", 1)
    change(tmp_path / "s1" / "segmentations")
    with pytest.raises(VolumeError, match=sentence):
        (case,) = read_data_set(tmp_path)
        read_label(case, GRID)


def test_the_cache_notices_a_changed_mask(tmp_path):
    write_organs(tmp_path, "s1", 1)
    (case,) = read_data_set(tmp_path)
    entries = []
    for _ in range(3):
        entries.append(CaseCache(tmp_path / "cache").prepare(case, Preprocessing(SPACING), ("liver",)).entry)
        if len(entries) == 2:
            write_volume(Volume(np.zeros(SIZE[::-1], np.uint8), GRID), case.label / "liver.nii.gz")
    assert entries[0] == entries[1] != entries[2]


def test_listing_a_huge_folder_can_be_cancelled(tmp_path):
    for number in range(30):
        (tmp_path / f"{number}").mkdir()
    asked = []
    with pytest.raises(Cancelled):
        list_cases(tmp_path, progress=Progress(is_cancelled=lambda: asked.append(1) or len(asked) > 10))
    assert len(asked) == 11


def test_nested_labels_stay_whole_in_the_folder_of_a_fine_tuning(tmp_path):
    masks = write_organs(tmp_path, "s1", 1)
    (case,) = read_data_set(tmp_path)
    run = RunFolder(tmp_path / "run")
    stored = run.store_case(1, replace(case, annotated=("liver", "liver_lesion")))
    label = read_label(stored, GRID)
    assert all(np.array_equal(stored.inside(label, name), masks[name]) for name in ("liver", "liver_lesion"))
    # Only the organ is learned: its lesion, of which nothing is asked, is a part of it all the same.
    stored = run.store_case(2, replace(case, annotated=("liver",)))
    assert np.array_equal(stored.inside(read_label(stored, GRID), "liver"), masks["liver"])
    # Only the lesion is learned: the rest of the organ is not known to be without the organ.
    nested = {"liver": (1, 2), "tumour": 2}
    stored = run.store_case(3, replace(case, label=_flat(tmp_path, masks), values=nested, annotated=tuple(nested)))
    stored = run.store_case(4, replace(stored, annotated=("tumour",)))
    liver, tumour = prepare_case(stored, Preprocessing(SPACING), ("liver", "tumour")).target
    assert np.array_equal(tumour == 1, masks["liver_lesion"]) and (liver == UNKNOWN).all()


def _flat(folder, masks):
    """Liver and lesion in one file, as LiTS has them."""
    array = np.where(masks["liver_lesion"], 2, masks["liver"]).astype(np.uint8)
    write_volume(Volume(array, GRID), folder / "flat.nii.gz")
    return folder / "flat.nii.gz"


def test_results_are_compared_label_by_label(tmp_path):
    masks = write_organs(tmp_path, "s1", 1)
    (case,) = read_data_set(tmp_path)
    labels = (*find_labels(["liver"]), label_for("liver_lesion", 1))
    overlay = Overlay(SIZE[::-1], 2, "result")
    for value, name in enumerate(("liver", "liver_lesion"), start=1):
        overlay.lay(masks[name] * np.uint8(value))
    result = LabelMap(overlay.array, GRID, "result", labels, overlay.overlaps)
    report = compare_with_truth(result, ["liver", "liver_lesion"], case)
    assert [report.labels[name].measures["dice"] for name in ("liver", "liver_lesion")] == [1.0, 1.0]
    alone = LabelMap(masks["liver"].astype(np.uint8), GRID, "result", labels[:1])
    assert compare_with_truth(alone, ["liver"], case).labels["liver"].measures["dice"] == 1.0
    assert evaluate(alone, read_label_map(case.label), ["liver"]).labels["liver"].measures["dice"] == 1.0


def test_a_label_map_with_overlaps_goes_to_the_other_process(tmp_path):
    masks = write_organs(tmp_path, "s1", 1)
    sent = read_label_map(tmp_path / "s1" / "segmentations", ["liver", "liver_lesion"])
    found = read_volume_array(json.loads(json.dumps(write_volume_array(sent, tmp_path))))
    assert found.overlaps == sent.overlaps and np.array_equal(found.mask("liver"), masks["liver"])


def test_evaluate_takes_a_folder_of_organs(tmp_path, capsys):
    masks = write_organs(tmp_path, "s1", 1)
    (tmp_path / "out").mkdir()
    write_volume(Volume(masks["liver"].astype(np.uint8), GRID), tmp_path / "out" / "s1.nii.gz")
    for prediction, reference in (("out/s1.nii.gz", "s1/segmentations"), ("out/s1.nii.gz", "s1"), ("out", ".")):
        command = [
            "evaluate",
            str(tmp_path / prediction),
            str(tmp_path / reference),
            "--labels",
            "liver",
            "--json",
            "-",
        ]
        assert main(command) == 0
        (case,) = json.loads(capsys.readouterr().out)["cases"]
        assert case["labels"]["liver"]["reference_voxels"] == np.count_nonzero(masks["liver"])
    assert main(["evaluate", str(tmp_path / "out" / "s1.nii.gz"), str(tmp_path)]) == 2
    assert "only a folder with one file an organ" in capsys.readouterr().err


def test_fine_tune_learns_from_one_file_an_organ(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    data = tmp_path / "data"
    data.mkdir()
    for seed in (1, 2):
        write_organs(data, f"s{seed}", seed)
    parent = save_parent(tmp_path)
    settings = [f"--set={name}={value}" for name, value in (("steps", 2), ("patch", [16, 16, 16]), ("batch", 2))]
    command = ["fine-tune", str(parent.path), str(data), "-o", str(tmp_path / "run"), "--hold-out", "s2", *settings]
    assert main([*command, "--label", "liver", "--label", "lungs", "--quiet", "--json", "--device", "cpu"]) == 0
    after = json.loads(capsys.readouterr().out)["after"]
    assert set(after) == {"liver", "lungs"} and set(after["liver"]) == {"s2"}


def test_unknown_values_are_named_for_overlaps_too(tmp_path):
    write_organs(tmp_path, "s1", 1)
    (case,) = read_data_set(tmp_path)
    label = read_label_map(case.label)
    values = {name: value for name, value in case.values.items() if name != "liver_lesion"}
    (tmp_path / "s1" / "segmentations" / "liver.nii.gz").rename(tmp_path / "liver.nii.gz")
    from Med3DCore.training.cases.label import label_volumes

    with pytest.raises(DataError, match=rf"values \[{case.values['liver_lesion']}\] that nobody described"):
        label_volumes(replace(case, values=values), label)


def test_images_are_still_read(tmp_path):
    write_organs(tmp_path, "s1", 1)
    assert read_volume(tmp_path / "s1" / "ct.nii.gz").array.shape == SIZE[::-1]
