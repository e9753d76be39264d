"""DeepLesion's layout: the table, its faults, and nine slices around a key slice."""

import numpy as np
import pytest
from lesion_sets import row, write_balls, write_series, write_table

from Med3DCore.errors import DataError, SettingError
from Med3DCore.io.hounsfield_png import read_hounsfield_png, write_hounsfield_png
from Med3DCore.preprocessing.intensity import Window
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.training.cases.cache import CaseCache
from Med3DCore.training.cases.splits import hold_out
from Med3DCore.training.detection.key_slices import read_key_slices
from Med3DCore.training.detection.stacks import boxes_on, prepare_stack, prepare_stacks

BOX = (20, 10, 40, 30)
PREPROCESSING = Preprocessing((2.0, 2.0, 2.5), Window(-1024, 1050))


@pytest.fixture
def series(tmp_path):
    return write_series(tmp_path, 1, [(30, 20, 13, 10)])


def test_lesions_of_a_slice_are_one_case(tmp_path, series):
    other = (2, 2, 14, 14)
    table = write_table(tmp_path, [row(1, 13, BOX), row(1, 13, other, first=11), row(1, 12, other)])
    one, two = read_key_slices(tmp_path)
    assert read_key_slices(table) == [one, two]
    assert (one.name, one.patient, one.index, one.first, one.last) == ("000001_01_01_013", "000001", 13, 10, 16)
    assert one.boxes == (BOX, other) and one.diameters_mm == (20.0, 4.0) and two.boxes == (other,)
    assert one.spacing == (2.0, 2.0, 5.0) and one.size == (64, 48) and one.image == series / "013.png"


def test_the_official_split_and_one_of_ones_own(tmp_path):
    for patient in range(1, 6):
        write_series(tmp_path, patient, [])
    write_table(tmp_path, [row(patient, 13, BOX, split) for patient, split in enumerate((1, 1, 2, 3, 3), start=1)])
    told = Progress()
    assert [case.split for case in read_key_slices(tmp_path, progress=told)] == ["training"] * 2 + ["validation"]
    assert "2 lesions" in told.warnings[0] and "left out" in told.warnings[0]
    assert [case.split for case in read_key_slices(tmp_path, "test")] == ["training"] * 2 + ["validation"] * 2
    cases = read_key_slices(tmp_path, own_split=True)
    assert len(cases) == 5
    held_out = [
        case.patient for case in hold_out(cases, {c.name: {""} for c in cases}, 5, 0, 1) if case.split[0] == "v"
    ]
    assert len(held_out) == 1
    with pytest.raises(SettingError, match="training"):
        read_key_slices(tmp_path, "training")


def test_noisy_rows_are_left_out_and_said(tmp_path, series):
    write_table(tmp_path, [row(1, 13, BOX), row(1, 12, BOX, Possibly_noisy=1)])
    told = Progress()
    assert len(read_key_slices(tmp_path, progress=told)) == 1 and "noisy" in told.warnings[0]


def test_a_margin_beyond_the_picture_is_cut_off(tmp_path, series):
    write_table(tmp_path, [row(1, 13, (-3, -4.5, 10, 10)), row(1, 13, (50, 40, 67, 51))])
    assert read_key_slices(tmp_path)[0].boxes == ((0, 0, 10, 10), (50, 40, 63, 47))


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"File_name": "000002_01_01_013.png"}, "000002_01_01_013.png is not of patient 1.*two patients"),
        ({"File_name": "013.png"}, "013.png.*000001_01_01_109.png"),
        ({"Series_ID": 2}, "series 2"),
        ({"Patient_index": "one"}, "patient_index is 'one'"),
        ({"Key_slice_index": 14}, "not slice 14"),
        ({"Slice_range": "14, 16"}, "of the range 14 to 16"),
        ({"Slice_range": "10, 17"}, r"017\.png is missing"),
        ({"Bounding_boxes": "20, 10, 80, 30"}, "outside of the picture of 64 x 48"),
        ({"Bounding_boxes": "40, 10, 20, 30"}, "upper left to lower right"),
        ({"Bounding_boxes": "40, 10, 20"}, "4 numbers"),
        ({"Bounding_boxes": "20, 10, nan, 30"}, "4 numbers"),
        ({"Spacing_mm_px_": "0, 2, 5"}, "no voxel size"),
        ({"Image_size": "512, 512"}, r"013\.png is not 512 x 512.*two scans"),
        ({"Train_Val_Test": 4}, "train_val_test is '4'"),
    ],
)
def test_bad_rows_are_named(tmp_path, series, cells, said):
    table = write_table(tmp_path, [row(1, 12, BOX), row(1, 13, BOX, **cells)])
    with pytest.raises(DataError, match=said) as error:
        read_key_slices(tmp_path)
    assert str(table) in str(error.value) and "line 3" in str(error.value)


def test_rows_that_say_different_things_of_a_folder_are_refused(tmp_path, series):
    write_table(tmp_path, [row(1, 12, BOX), row(1, 13, BOX, Spacing_mm_px_="1, 1, 5")])
    with pytest.raises(DataError, match=r"line 3: .*000001_01_01 has another spacing or size than line 2"):
        read_key_slices(tmp_path)


def test_a_patient_is_in_one_part_only(tmp_path, series):
    write_table(tmp_path, [row(1, 12, BOX, 1), row(1, 13, BOX, 2)])
    with pytest.raises(DataError, match="both splits"):
        read_key_slices(tmp_path)


def test_a_table_without_a_needed_column(tmp_path):
    (tmp_path / "DL_info.csv").write_text("File_name,Bounding_boxes\n")
    with pytest.raises(DataError, match=r"no column 'patient_index'.*DeepLesion"):
        read_key_slices(tmp_path)


# -- slices ------------------------------------------------------------------------------------------------------------


def test_pictures_keep_hounsfield_units(tmp_path):
    hu = np.array([[-1024, -1, 0], [1, 40, 3071]])
    write_hounsfield_png(hu, tmp_path / "001.png")
    assert (read_hounsfield_png(tmp_path / "001.png") == hu).all()
    assert (tmp_path / "001.png").read_bytes()[24:26] == bytes([16, 0])


def test_broken_pictures_are_named(tmp_path):
    path = tmp_path / "001.png"
    write_hounsfield_png(np.zeros((8, 8)), path)
    whole = path.read_bytes()
    for data, said in (
        (whole[:40], "damaged"),
        (whole[:20], "no PNG"),
        (b"not a picture, but long enough", "no PNG"),
        (whole[:24] + b"\x08" + whole[25:], "16 bits"),
        (whole[:16] + b"\xff\xff\xff\xff" + whole[20:], "pixels"),
    ):
        path.write_bytes(data)
        with pytest.raises(DataError, match=f"001.png.*{said}"):
            read_hounsfield_png(path)


def test_nine_slices_are_interpolated_around_the_key_slice(tmp_path):
    """HU that grow by 10 a slice of 5 mm grow by 5 at every 2.5 mm; beyond the range the last slice goes on."""
    folder = write_series(tmp_path, 1, [], noise=0.0)
    for index in range(10, 17):
        write_hounsfield_png(np.full((48, 64), 10 * index), folder / f"{index:03}.png")
    write_table(tmp_path, [row(1, 13, BOX), row(1, 16, BOX)])
    middle, last = read_key_slices(tmp_path)
    stack = prepare_stack(middle, PREPROCESSING, 9)
    assert stack.image.shape == (9, 48, 64)
    assert np.allclose(stack.image[:, 20, 20], 130 + 5 * np.arange(-4, 5), atol=1e-3)
    assert np.allclose(prepare_stack(last, PREPROCESSING, 9).image[:, 20, 20], [140, 145, 150, 155, *[160] * 5])


def test_boxes_stay_on_their_lesion_at_another_spacing(tmp_path):
    write_series(tmp_path, 1, [(30, 20, 13, 12)], noise=0.0)
    write_table(tmp_path, [row(1, 13, (24, 14, 36, 26))])
    (case,) = read_key_slices(tmp_path)
    stack = prepare_stack(case, Preprocessing((1.5, 1.5, 2.5), Window(-1024, 1050)), 9)
    bright = np.argwhere(stack.image[4] > 75)[:, ::-1]
    (box,) = boxes_on(stack.geometry, case.boxes, case.spacing)
    assert np.allclose(bright.mean(axis=0), (box[:2] + box[2:]) / 2, atol=0.3)
    assert np.allclose((box[2:] - box[:2]) * 1.5, 24)


def test_a_slice_of_another_size_is_named(tmp_path, series):
    write_table(tmp_path, [row(1, 13, BOX)])
    write_hounsfield_png(np.zeros((32, 32)), series / "012.png")
    with pytest.raises(DataError, match=r"012\.png has another size.*two scans"):
        prepare_stack(read_key_slices(tmp_path)[0], PREPROCESSING, 9)


def test_prepared_slices_are_kept_and_made_anew_when_a_neighbour_changes(tmp_path):
    folder = write_balls(tmp_path / "data", patients=2, held_out=1)
    cases, cache = read_key_slices(folder), CaseCache(tmp_path / "cache")
    fresh = prepare_stacks(cases, PREPROCESSING, 9)
    kept = prepare_stacks(cases, PREPROCESSING, 9, cache)
    assert all((a.image == b.image).all() for a, b in zip(fresh, kept, strict=True))
    prepare_stacks(cases, PREPROCESSING, 9, cache)
    assert cache.usage()[0] == 2
    write_hounsfield_png(np.full((48, 64), 500), cases[0].file(12))
    assert not (prepare_stacks(cases, PREPROCESSING, 9, cache)[0].image == fresh[0].image).all()
