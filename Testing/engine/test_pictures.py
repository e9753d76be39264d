"""Pre-training on pictures: what is read, what is learned, what is refused, and that nothing is lost."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from Med3DCore.cli.main import main
from Med3DCore.errors import Cancelled, DataError, ModelError, SettingError
from Med3DCore.inference.device import choose_device
from Med3DCore.models.package_file import load_package
from Med3DCore.models.stage import Stage
from Med3DCore.models.weights import compare
from Med3DCore.networks import build_network
from Med3DCore.progress import Progress
from Med3DCore.training.learning.checkpoint import read_log
from Med3DCore.training.learning.initialization import find_start
from Med3DCore.training.learning.loop import train
from Med3DCore.training.pictures.decode import load, open_picture
from Med3DCore.training.pictures.picture_set import read_picture_set
from Med3DCore.training.pictures.pre_training import PicturePreTraining
from Med3DCore.training.pictures.recipe import read_picture_recipe
from Med3DCore.training.pictures.views import ViewSettings

Images = pytest.importorskip("PIL.Image")
RECIPES = Path(__file__).parents[2] / "Resources" / "Recipes"


def stripes(across: bool, rng: np.random.Generator, size: int = 24) -> np.ndarray:
    """uint8 ``[y, x, 3]``: what the classes are told by is a direction, whatever the colours and the place."""
    wave = np.sin(np.arange(size) * rng.uniform(1.2, 1.8) + rng.uniform(0, 6))[:, None] * np.ones(size)
    colours = rng.uniform(0.5, 1, 3)
    return np.uint8(127 + 100 * (wave.T if across else wave)[..., None] * colours)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """40 pictures of stripes along and across, PNG and JPEG."""
    root, rng = tmp_path_factory.mktemp("pictures") / "stripes", np.random.default_rng(0)
    for across in (False, True):
        place = root / ("across" if across else "along")
        place.mkdir(parents=True)
        for number in range(20):
            picture = Images.fromarray(stripes(across, rng))
            picture.save(place / f"{number}.{'png' if number % 2 else 'jpg'}")
    return root


@pytest.fixture
def recipe(tmp_path):
    """Writes a recipe with some settings changed; gives its file."""

    def write(**training) -> Path:
        values = {
            "model": {
                "name": "tiny", "version": "0.1.0", "title": "Tiny", "description": "A test.", "modality": "CT",
                "licence": "none",
            },
            "encoder": {"name": "resnet", "depth": 10, "width": 4, "output_stride": 32, "stem_stride": 1},
            "training": {
                "steps": 6, "batch": 8, "optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 1e-4, "warmup": 3,
                "ema": 0.0, "validate_every": 0, **training,
            },
            "views": {"size": 16, "smallest": 0.5},
        }  # fmt: skip
        path = tmp_path / "recipe.json"
        path.write_text(json.dumps(values))
        return path

    return write


def pretrain(*arguments: object) -> int:
    return main(["pretrain-2d", *map(str, arguments), "--device", "cpu", "--quiet"])


def test_it_learns_and_its_encoder_starts_a_network_with_strides_along_z(folder, recipe, tmp_path, capsys):
    assert pretrain(folder, "-o", tmp_path / "run", "--recipe", recipe(steps=120)) == 0
    assert "36 pictures of 2 classes to learn from, 4 held out" in capsys.readouterr().out
    package = load_package(tmp_path / "run" / "tiny-0.1.0.med3d.zip")
    assert package.metrics["held_out"]["accuracy"] >= 0.75
    losses = [entry["loss"] for entry in read_log(tmp_path / "run" / "log.jsonl") if "loss" in entry]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:3])
    weights = package.read_weights("encoder")
    taps = weights["conv1.weight"].abs().amax(dim=(0, 1, 3, 4))
    assert taps[0] == taps[6] == 0, "no picture reaches these taps, so they must not be noise"
    assert (taps[1:6] > 0).all()
    network = {
        "encoder": {"name": "resnet", "depth": 10, "width": 4, "output_stride": 32},
        "decoder": {"name": "classification"},
        "out_channels": 2,
    }
    stage = Stage("nodule", network, {}, ("benign", "malignant"), "softmax", (32, 32, 32))
    start = find_start(str(package.path), stage).weights
    fit = compare(build_network(network).state_dict(), start)
    assert set(fit.missing) == {"decoder.logits.weight", "decoder.logits.bias"}
    assert not fit.unexpected and not fit.wrong_shape


def test_flat_is_the_2d_network_and_needs_a_way_into_3d(folder, recipe, tmp_path):
    assert pretrain(folder, "-o", tmp_path / "run", "--recipe", recipe(), "--flat") == 0
    package = load_package(tmp_path / "run" / "tiny-flat-0.1.0.med3d.zip")
    assert package.read_weights("encoder")["conv1.weight"].shape == (4, 3, 1, 7, 7)
    network = {"encoder": {"name": "resnet", "depth": 10, "width": 4}, "decoder": {"name": "skip"}, "out_channels": 1}
    stage = Stage("liver", network, {}, ("liver",), "sigmoid", (32, 32, 32))
    with pytest.raises(ModelError, match="say how to use it in 3D"):
        find_start(str(package.path), stage)
    for way in ("i3d", "acs", "2.5d"):
        assert find_start(f"{way}:{package.path}", stage).weights["encoder.conv1.weight"].shape == (4, 1, 7, 7, 7)


def test_it_goes_on_to_the_same_curve(folder, recipe, tmp_path):
    settings = read_picture_recipe(recipe())

    def learn(name: str, stop_after: int | None = None) -> list:
        task = PicturePreTraining(settings, read_picture_set(folder))
        told = []
        progress = Progress(
            is_cancelled=lambda: stop_after is not None and len(told) >= stop_after,
            on_metric=lambda *metric: told.append(metric) if metric[2] is not None else None,
        )
        train(task, settings.training, tmp_path / name, 1, choose_device("cpu"), progress)
        return [(e["step"], e.get("loss"), e.get("score")) for e in read_log(tmp_path / name / "log.jsonl")]

    whole = learn("whole")
    with pytest.raises(Cancelled):
        learn("parts", stop_after=3)
    assert [entry for entry in learn("parts") if entry[1]] == [entry for entry in whole if entry[1]]
    assert len({loss for _, loss, _ in whole if loss}) == 6


def test_a_broken_picture_in_the_middle_loses_nothing(folder, recipe, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "set")
    picture, output = tmp_path / "set" / "along" / "5.png", tmp_path / "run"
    held_out = {one.name for one in read_picture_set(folder).held_out}
    assert "along/5.png" not in held_out
    whole = picture.read_bytes()
    picture.write_bytes(whole[: len(whole) // 2])
    assert pretrain(tmp_path / "set", "-o", output, "--recipe", recipe()) == 2
    said = capsys.readouterr().err
    assert "along/5.png is damaged" in said and "is saved in" in said and "Traceback" not in said
    done = max((entry["step"] for entry in read_log(output / "log.jsonl")), default=0)
    assert (output / "checkpoint.pt").is_file()
    picture.write_bytes(whole)
    assert pretrain(tmp_path / "set", "-o", output, "--recipe", recipe()) == 0
    steps = [entry["step"] for entry in read_log(output / "log.jsonl") if "loss" in entry]
    assert steps == list(range(1, 7)) and done < 6


def test_a_gigantic_picture_is_refused_by_its_header(folder, recipe, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "set")
    data = bytearray((tmp_path / "set" / "along" / "5.png").read_bytes())
    import struct
    import zlib

    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "set" / "along" / "5.png").write_bytes(data)
    assert pretrain(tmp_path / "set", "-o", tmp_path / "run", "--recipe", recipe()) == 2
    assert "along/5.png is gigantic" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "There is no picture"),
        (["a.png", "b.png"], "a.png lies in none"),
        (["cat/a.png", "cat/b.png", "c.png"], "c.png lies in none"),
        (["cat/a.png", "cat/b.png", "cat/c.png"], "There is no|lies in none|a single class"),
        (["cat/a.png", "dog/b.png"], "class 'cat' of .* has 1 picture"),
        (["images/a.png", "images/b.png", "masks/a.png"], "images/b.png in .* has no mask"),
        (["images/a.png", "masks/a.png", "masks/b.png"], "masks/b.png in .* has no picture"),
    ],
)
def test_folders_that_are_no_set_of_pictures(files, sentence, tmp_path):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Images.new("L", (8, 8)).save(tmp_path / name)
    with pytest.raises(DataError, match=sentence):
        read_picture_set(tmp_path)


def test_a_zip_is_as_good_as_its_folder(folder, tmp_path):
    path = tmp_path / "stripes.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, Path("stripes") / file.relative_to(folder))
        archive.writestr("__MACOSX/stripes/._0.png", b"nothing")
    ours, theirs = read_picture_set(path), read_picture_set(folder)
    assert ours.classes == theirs.classes == ("across", "along")
    assert [p.kind for p in ours.held_out] == [p.kind for p in theirs.held_out] == [0, 0, 1, 1]
    assert ours.source.read("stripes/along/5.png") == theirs.source.read("along/5.png")
    damaged = path.read_bytes()
    path.write_bytes(damaged[: len(damaged) // 2])
    with pytest.raises(DataError, match=r"stripes\.zip is no folder and no zip"):
        read_picture_set(path)


def test_folders_for_the_check_are_kept_out_of_training(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "set" / "train")
    shutil.copytree(folder, tmp_path / "set" / "val")
    found = read_picture_set(tmp_path / "set")
    assert len(found.training) == len(found.held_out) == 40
    assert all(one.name.startswith("val/") for one in found.held_out)


def test_sixteen_bits_and_dicom_are_grey_by_their_own_range(tmp_path):
    import SimpleITK as sitk

    values = np.arange(400, dtype=np.uint16).reshape(20, 20) * 50 + 10_000
    Images.fromarray(values).save(tmp_path / "wide.png")
    image = sitk.GetImageFromArray(values.astype(np.int16)[None])
    sitk.WriteImage(image[:, :, 0], str(tmp_path / "slice.dcm"))
    for name in ("wide.png", "slice.dcm"):
        found = np.asarray(load(open_picture((tmp_path / name).read_bytes(), name), name))
        assert found.min() == 0 and found.max() == 255
        assert (np.diff(found.ravel().astype(int)) >= 0).all()


def test_views_show_a_part_of_the_picture_mirrored_and_with_colours_exchanged(folder):
    found = read_picture_set(folder)
    settings = ViewSettings(size=16)
    views = [settings.training_view(found.source, found.training[0], np.random.default_rng(n))[0] for n in range(30)]
    assert {view.shape for view in views} == {(3, 16, 16)}
    assert len({view.tobytes() for view in views}) == 30
    assert len({tuple(np.argsort(view.std(axis=(1, 2)))) for view in views}) == 6  # all orders of three colours
    plain = ViewSettings(size=24, smallest=1, stretch=1, flip=1, shuffle=False, middle=1)
    mirrored, _ = plain.training_view(found.source, found.training[0], np.random.default_rng(0))
    whole, kind = plain.checking_view(found.source, found.training[0])
    assert np.array_equal(mirrored[:, :, ::-1], whole) and kind == found.training[0].kind
    for number in range(200):
        left, upper, right, lower = settings._random_box(40, 30, np.random.default_rng(number))
        assert 0 <= left < right <= 40 and 0 <= upper < lower <= 30


def test_masks_teach_pixels_and_255_teaches_nothing(recipe, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (tmp_path / "set" / part).mkdir(parents=True)
    for number in range(12):
        mask = np.zeros((24, 24), np.uint8)
        y, x = rng.integers(0, 12, 2)
        mask[y : y + 12, x : x + 12] = 1
        picture = np.uint8(mask[..., None] * 120 + rng.integers(0, 60, (24, 24, 3)))
        mask[:, 0] = 255
        Images.fromarray(picture).save(tmp_path / "set" / "images" / f"{number}.jpg")
        Images.fromarray(mask).save(tmp_path / "set" / "masks" / f"{number}.png")
    assert read_picture_set(tmp_path / "set").classes == ("0", "1")
    assert pretrain(tmp_path / "set", "-o", tmp_path / "run", "--recipe", recipe(steps=60, batch=4)) == 0
    assert load_package(tmp_path / "run" / "tiny-0.1.0.med3d.zip").metrics["held_out"]["mean_dice"] > 0.7


def test_each_picture_comes_once_an_epoch_and_the_curve_depends_on_the_number_alone(folder, recipe):
    task = PicturePreTraining(read_picture_recipe(recipe()), read_picture_set(folder))
    order = [task._order(0).tolist(), task._order(1).tolist()]
    assert sorted(order[0]) == sorted(order[1]) == list(range(36)) and order[0] != order[1]
    assert all(torch.equal(a, b) for a, b in zip(task.draw(3), task.draw(3), strict=True))


@pytest.mark.parametrize("name", ["pictures-vdt", "pictures-small"])
def test_shipped_recipes_describe_networks(name):
    for flat in (False, True):
        found = read_picture_recipe(RECIPES / f"{name}.json", flat)
        assert found.is_flat == flat and found.views.shuffle != flat
        assert build_network(found.network(10, False)).encoder.strides[-1][0] == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"label_smoothing": 2}, "label_smoothing"),
        ({"views": {"size": 0}}, "size"),
        ({"nonsense": 1}, "nonsense"),
        ({"training": {"steps": "many"}}, "steps"),
        ({"encoder": {"name": "resnet", "depth": 10, "depth_stride": True}}, "depth_stride"),
    ],
)
def test_wrong_settings_are_named(change, sentence, recipe):
    path = recipe()
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(SettingError, match=sentence):
        read_picture_recipe(path)
