"""Tables of nodules: places in LPS and RAS, labels and readers' ratings, patients kept together."""

from collections import Counter

import pytest

from Med3DCore.errors import DataError, SettingError
from Med3DCore.progress import Progress
from Med3DCore.training.cases.splits import hold_out
from Med3DCore.training.classification.malignancy import acs_rule, malignancy, med3d_rule
from Med3DCore.training.classification.nodules import read_centres, read_nodules, require_both


@pytest.mark.parametrize(
    ("ratings", "rating", "med3d", "acs"),
    [
        ([1], 1, False, False),
        ([3, 3, 4], 3, False, None),
        ([4, 4, 2, 3], 4, True, True),
        ([5, 5, 5, 1], 5, True, True),
        ([2, 2, 3, 3], 2, False, False),  # as often: the lower, as in the published list
        ([3, 4], 3, False, None),
        ([4, 5], 4, True, True),
    ],
)
def test_both_rules_of_lidc(ratings, rating, med3d, acs):
    assert malignancy(ratings) == rating
    assert med3d_rule(ratings) is med3d and acs_rule(ratings) is acs


@pytest.mark.parametrize("ratings", [[], [0], [3, 6]])
def test_no_ratings_are_refused(ratings):
    with pytest.raises(DataError, match="from 1 to 5"):
        malignancy(ratings)


def write(folder, text):
    for name in ("a.nii.gz", "b.nii.gz"):
        (folder / name).touch()
    path = folder / "nodules.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_is_read(tmp_path):
    path = write(
        tmp_path,
        "Scan;X;Y;Z;space;label;ratings;patient;diameter_mm;remark\n"
        "a.nii.gz;1.5;-2;3;;0;;P1;7.5;seen\n"
        "a.nii.gz;1.5;-2;3;RAS;malignant;;P1;;\n"
        "b.nii.gz;0;0;1e1;lps;;4 4 3;;;\n"
        "b.nii.gz;0;0;1e1;;;3,3;;;\n",
    )
    nodules = read_nodules(path)
    assert [n.centre for n in nodules] == [(1.5, -2, 3), (-1.5, 2, 3), (0, 0, 10), (0, 0, 10)]
    assert [n.malignant for n in nodules] == [False, True, True, False]
    assert [n.patient for n in nodules] == ["P1", "P1", "b.nii.gz", "b.nii.gz"]
    assert nodules[0].diameter_mm == 7.5 and nodules[0].name == "nodule 1"
    progress = Progress()
    assert len(read_nodules(path, "acs", progress=progress)) == 3
    assert "1 nodules" in progress.warnings[0] and "rule acs" in progress.warnings[0]
    assert read_nodules(path, space="RAS")[0].centre == (-1.5, 2, 3)
    assert [c.point for c in read_centres(path)] == [n.centre for n in nodules]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("a.nii.gz,1,2,x,0,", "line 2: x, y and z are not three numbers"),
        ("a.nii.gz,1,2,nan,0,", "line 2: x, y and z are not three numbers"),
        ("a.nii.gz,1,2,3,2,", "the label is '2'; it must be 0"),
        ("a.nii.gz,1,2,3,,", "neither a label"),
        ("a.nii.gz,1,2,3,,7", "from 1 to 5"),
        ("a.nii.gz,1,2,3,1,4", "both a label and ratings"),
        (",1,2,3,1,", "does not say in which scan"),
        ("c.nii.gz,1,2,3,1,", "c.nii.gz is missing"),
    ],
)
def test_rows_that_make_no_sense_are_named(tmp_path, row, sentence):
    with pytest.raises(DataError, match=sentence):
        read_nodules(write(tmp_path, f"scan,x,y,z,label,ratings\n{row}\n"))


def test_a_table_without_places_or_of_an_unknown_space_is_refused(tmp_path):
    with pytest.raises(DataError, match="no column 'y'; it needs scan, x, y, z"):
        read_nodules(write(tmp_path, "scan,x,z,label\na.nii.gz,1,2,0\n"))
    with pytest.raises(DataError, match=r"line 2: Unknown space 'IJK'.*LPS or RAS"):
        read_nodules(write(tmp_path, "scan,x,y,z,label,space\na.nii.gz,1,2,3,0,IJK\n"))
    with pytest.raises(SettingError, match="Unknown rule 'mean'"):
        read_nodules(tmp_path / "nodules.csv", "mean")


def test_a_patient_on_both_sides_is_refused(tmp_path):
    head = "scan,x,y,z,label,patient,split\n"
    rows = "a.nii.gz,1,2,3,0,P,train\nb.nii.gz,1,2,3,1,P,val\n"
    with pytest.raises(DataError, match="Patient 'P' is in both splits"):
        read_nodules(write(tmp_path, head + rows))


def test_patients_are_held_out_whole_and_classes_evenly(tmp_path):
    rows = [f"a.nii.gz,1,2,3,{int(i % 10 < 4)},P{i // 2}" for i in range(60)]
    nodules = read_nodules(write(tmp_path, "scan,x,y,z,label,patient\n" + "\n".join(rows)))
    kinds = {nodule.name: {nodule.kind} for nodule in nodules}
    seen = Counter()
    for fold in range(5):
        split = hold_out(nodules, kinds, 5, fold, seed=3)
        sides = {side: {n.patient for n in split if n.split == side} for side in ("training", "validation")}
        assert not sides["training"] & sides["validation"]
        held_out = [n for n in split if n.split == "validation"]
        assert 3 <= sum(n.malignant for n in held_out) <= 6
        seen.update(n.name for n in held_out)
    assert set(seen.values()) == {1} and len(seen) == 60
    with pytest.raises(SettingError, match="folds 0 to 4, not 5"):
        hold_out(nodules, kinds, 5, 5, seed=3)


def test_one_class_cannot_be_learned(tmp_path):
    nodules = read_nodules(write(tmp_path, "scan,x,y,z,label\na.nii.gz,1,2,3,0\n"))
    with pytest.raises(DataError, match="are all benign"):
        require_both(nodules)
