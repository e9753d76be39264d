"""Classification end to end: patches cut in the patient's space, training, the package, and asking it."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_boxes import CPU

from Med3DCore.cli.main import main
from Med3DCore.errors import DataError, ModelError, SettingError
from Med3DCore.geometry import Geometry
from Med3DCore.inference.classify import Classifier, at_prevalence
from Med3DCore.io import read_volume, write_volume
from Med3DCore.models.catalogue import Catalogue
from Med3DCore.models.entry import ModelEntry
from Med3DCore.models.package import ModelPackage
from Med3DCore.models.package_file import load_package, save_package
from Med3DCore.networks import build_network
from Med3DCore.phantom.shapes import turned
from Med3DCore.preprocessing.cube import cut_block, require_inside
from Med3DCore.preprocessing.intensity import Statistics
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.training.cases.cache import CaseCache
from Med3DCore.training.classification.blocks import block_shape, middle_of, prepare_blocks
from Med3DCore.training.classification.classification import ClassificationTask, classifier_stage
from Med3DCore.training.classification.nodules import read_nodules
from Med3DCore.training.classification.publish_classifier import describe_classifier
from Med3DCore.training.learning.initialization import find_start
from Med3DCore.training.learning.recipe import read_recipe, stage_from_dict
from Med3DCore.volume import Volume

OBLIQUE = tuple((turned(20, -15, 30).T @ np.diag([-1.0, 1.0, 1.0])).ravel().tolist())
STORED = [
    Geometry((40, 40, 40), (2.0, 2.0, 2.0), (-40.0, -40.0, 100.0)),
    Geometry((40, 36, 44), (2.0, 2.0, 2.0), (40.0, 40.0, 100.0), (-1.0, 0, 0, 0, 0, -1.0, 0, 1.0, 0)),
    Geometry((44, 40, 40), (1.8, 2.0, 2.2), (40.0, -40.0, 90.0), OBLIQUE),
]
RECIPES = Path(__file__).parents[2] / "Resources" / "Recipes"
SHAPE = block_shape((16, 16, 16))
ENCODER = {"name": "resnet", "depth": 10, "width": 4, "output_stride": 8, "stem_stride": 1}


def positions(geometry):
    """LPS mm of all voxels, ``[z, y, x, 3]``."""
    index = np.stack(np.meshgrid(*map(np.arange, geometry.shape), indexing="ij")[::-1], axis=-1)
    return index @ geometry.index_to_physical[:3, :3].T + geometry.index_to_physical[:3, 3]


def write_scans(folder, count=16):
    """Scans of air, each with a ball; a malignant one is brighter. Returns the table."""
    rng, rows = np.random.default_rng(0), []
    for number in range(count):
        geometry, malignant = STORED[number % len(STORED)], number % 2
        middle = geometry.index_to_physical @ [*(np.array(geometry.size) / 2), 1]
        centre = middle[:3] + rng.uniform(-8, 8, 3)
        inside = np.linalg.norm(positions(geometry) - centre, axis=-1) < rng.uniform(6, 9)
        hu = np.where(inside, -350 + 650 * malignant, -800) + rng.normal(0, 15, geometry.shape)
        write_volume(Volume(hu.astype(np.int16), geometry), folder / f"s{number:02}.nii.gz")
        rows.append([f"n{number:02}", f"s{number:02}.nii.gz", *centre.round(3).tolist(), malignant, f"P{number // 2}"])
    path = folder / "nodules.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["name", "scan", "x", "y", "z", "label", "patient"], *rows])
    return path


def recipe_values(**training):
    network = {"encoder": ENCODER, "decoder": {"name": "classification"}, "out_channels": 2}
    settings = {"steps": 24, "patch": [16, 16, 16], "batch": 8, "learning_rate": 0.005, "warmup": 2, "ema": 0.9}
    stage = {
        "name": "nodule",
        "network": network,
        "preprocessing": {"spacing": [2.0] * 3, "intensity": {"name": "window", "low": -1000, "high": 400}},
        "labels": ["benign", "malignant"],
        "activation": "softmax",
        "window": [16, 16, 16],
        "training": {**settings, "foreground": 0.5, "validate_every": 20, **training},
    }
    about = {"title": "Balls", "description": "Bright or dim balls.", "modality": "CT", "licence": "CC0"}
    return {"seed": 3, "model": {"name": "balls", "version": "1.0.0", **about}, "stages": [stage]}


def write_recipe(folder, values):
    path = folder / "recipe.json"
    path.write_text(json.dumps(values))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("balls")
    return write_scans(folder), write_recipe(folder, recipe_values())


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """The package that the command makes."""
    torch.set_num_threads(1)
    table, recipe = data
    folder = tmp_path_factory.mktemp("run")
    command = ["classify", "train", str(table), "--recipe", str(recipe), "-o", str(folder), "--folds", "4", "--quiet"]
    assert main([*command, "--device", "cpu"]) == 0
    return load_package(folder / "balls-1.0.0.med3d.zip")


# -- patches -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("geometry", STORED, ids=["straight", "permuted", "oblique"])
def test_a_block_shows_the_same_place_however_the_scan_is_stored(geometry):
    place = positions(geometry)
    values = place @ [1.0, 3.0, -2.0]
    statistics = Statistics(-1e4, 1e4, 0.0, 1.0)
    middle = place.reshape(-1, 3).mean(axis=0) + np.array([1.3, -2.1, 0.7])
    block, grid = cut_block(Volume(values.astype(np.float32), geometry), middle, (1.5,) * 3, (12, 12, 12), statistics)
    seen = positions(grid)
    assert np.allclose(seen.reshape(-1, 3).mean(axis=0), middle, atol=1e-6)
    assert np.allclose(block, seen @ [1.0, 3.0, -2.0], atol=0.02)


def test_beyond_the_scan_is_its_floor_and_a_centre_there_is_refused():
    geometry = Geometry((20, 20, 20), (2.0, 2.0, 2.0), (10.0, 10.0, 0.0))
    volume = Volume(np.full(geometry.shape, 50, np.int16), geometry, "scan")
    block, _ = cut_block(volume, (10.0, 30.0, 20.0), (2.0,) * 3, (8, 8, 8), Statistics(-900, 100, 0, 1))
    assert np.all(block[:, :, :3] == -900) and np.all(block[:, :, 4:] == 50)
    require_inside(volume, (9.1, 10, 0), "it")
    with pytest.raises(DataError, match=r"'n': the point \(8.9, 10, 0\) mm, LPS, lies outside of scan; check"):
        require_inside(volume, (8.9, 10, 0), "'n'")
    with pytest.raises(DataError, match="as RAS it would be inside"):
        require_inside(volume, (-20, -20, 5), "'n'")


def test_blocks_are_kept_and_scans_not_read_again(data, tmp_path, monkeypatch):
    nodules = read_nodules(data[0])
    preprocessing = Preprocessing.from_dict(recipe_values()["stages"][0]["preprocessing"])
    fresh = prepare_blocks(nodules, preprocessing, SHAPE)
    cache = CaseCache(tmp_path / "cache")
    prepare_blocks(nodules, preprocessing, SHAPE, cache)
    monkeypatch.setattr("Med3DCore.training.classification.blocks.read_volume", None)
    kept = prepare_blocks(nodules, preprocessing, SHAPE, cache)
    assert [each.case for each in kept] == nodules and cache.usage()[0] == len(nodules)
    for a, b in zip(fresh, kept, strict=True):
        assert np.array_equal(a.image, b.image) and b.target.item() == b.case.malignant
    moved = [replace(nodules[0], centre=tuple(np.add(nodules[0].centre, 1.0)))]
    with pytest.raises(TypeError):
        prepare_blocks(moved, preprocessing, SHAPE, cache)


# -- training ----------------------------------------------------------------------------------------------------------


def make_task(data, **training):
    stage = stage_from_dict(recipe_values(**training)["stages"][0])
    nodules = [replace(n, split="training") for n in read_nodules(data[0])]
    return ClassificationTask(
        stage, prepare_blocks(nodules, _preprocessing(stage), block_shape(stage.training.patch)), seed=1
    )


def _preprocessing(stage):
    return Preprocessing.from_dict(stage.stage.preprocessing)


def test_batches_depend_on_their_number_alone_and_hold_both_classes(data):
    task = make_task(data, batch=8)
    batches = [task.draw(number) for number in range(12)]
    again = task.draw(5)
    assert torch.equal(again[0], batches[5][0]) and torch.equal(again[1], batches[5][1])
    assert batches[0][0].shape == (8, 1, 16, 16, 16) and batches[0][0].dtype == torch.float32
    assert not torch.equal(batches[0][0], batches[1][0])
    share = torch.cat([classes for _, classes in batches]).float().mean()
    assert 0.35 < share < 0.65
    rare = make_task(data, batch=8, foreground=0.0)
    assert not rare.draw(0)[1].any()
    for images, classes in batches:  # the ball stays in the patch, with its brightness: the class can be seen
        bright = images.flatten(1).amax(1) > 0.4
        assert (bright == classes.bool()).float().mean() > 0.7


def test_an_unvaried_patch_is_what_is_seen_in_use(data, trained):
    task = make_task(data)
    block = task.by_class[1][0]
    classifier = Classifier(trained, CPU)
    volume = read_volume(block.case.image)
    statistics = classifier.preprocessing.intensity.measure(volume)
    used, _ = cut_block(volume, block.case.centre, classifier.preprocessing.spacing, (16, 16, 16), statistics)
    assert np.allclose(middle_of(block.image, (16, 16, 16)).clip(-1000, 400), used, atol=20)
    assert np.allclose(task.seen(block), classifier.preprocessing.intensity.apply(used, statistics), atol=0.03)


def test_the_encoder_learns_slower_where_asked(data):
    task = make_task(data, encoder_rate=0.0)
    network = task.build()
    rates = {id(p): group.rate for group in task.parameter_groups(network) for p in group.parameters}
    assert {rates[id(p)] for p in network.encoder.parameters()} == {0.0}
    assert {rates[id(p)] for p in network.decoder.parameters()} == {1.0}


def test_training_starts_from_an_encoder(data, tmp_path):
    torch.manual_seed(9)
    encoder = build_network({"encoder": ENCODER, "decoder": {"name": "upsample"}, "out_channels": 1}).encoder
    about = {"title": "E", "description": "E.", "modality": "CT", "licence": "CC0", "encoder": ENCODER}
    package = ModelPackage(name="enc", version="1.0.0", **about)
    path = save_package(package, {"encoder": encoder.state_dict()}, tmp_path, half=False)
    stage = classifier_stage(read_recipe(data[1]))
    start = find_start(str(path), stage.stage)
    nodules = prepare_blocks(read_nodules(data[0]), _preprocessing(stage), SHAPE)
    network = ClassificationTask(stage, nodules, 1, start.weights).build()
    assert start.source == "the encoder enc-1.0.0"
    assert all(torch.equal(a, b) for a, b in zip(network.encoder.parameters(), encoder.parameters(), strict=True))


@pytest.mark.parametrize("path", sorted(RECIPES.glob("nodules*.json")), ids=lambda path: path.stem)
def test_recipes_that_come_with_med3d_are_for_classifiers(path):
    recipe = read_recipe(path)
    package = describe_classifier(recipe, [], "med3d", "random weights")
    assert package.kind == "classifier" and package.stages[0] == classifier_stage(recipe).stage
    assert build_network(package.stages[0].network).decoder.logits.out_channels == 2


# -- the package -------------------------------------------------------------------------------------------------------


def test_what_was_learned_is_right_on_patients_never_seen(trained):
    trained.verify()
    measured = trained.metrics["held_out"]
    assert trained.kind == "classifier" and not trained.labels
    assert measured["n"] == len(trained.metrics["nodules"]) == 4 and measured["patients"] == 2
    assert measured["auc"]["value"] == 1.0 and measured["accuracy"]["value"] >= 0.75
    training = {case["patient"] for case in trained.provenance["training_cases"].values()}
    assert not training & {nodule["patient"] for nodule in trained.metrics["nodules"].values()}
    assert "Wilson" in trained.card and "4 points of 2 patients" in trained.card
    assert trained.provenance["started_from"] == "random weights"
    assert trained.path.with_name("curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_classifier_is_never_taken_for_a_model_that_segments(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    assert main(["models", "install", str(trained.path)]) == 0
    assert not ModelEntry(trained.path, False, 1, trained).to_dict()["model"]["labels"]
    with pytest.raises(ModelError, match=r"balls-1\.0\.0 is a classifier, which paints nothing"):
        Catalogue().choose([], "balls")
    assert main(["models", "list"]) == 0 and "(classifier)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": ["liver", "lungs"]}, "labels benign, malignant"),
        ({"window": [32, 16, 16]}, "a cube"),
        ({"window": [32, 32, 32]}, "a patch as large as its window"),
        ({"network": {"encoder": ENCODER, "decoder": {"name": "skip"}, "out_channels": 2}}, "decoder 'classification'"),
    ],
)
def test_another_recipe_is_refused(tmp_path, change, sentence):
    values = recipe_values()
    values["stages"][0].update(change)
    with pytest.raises(SettingError, match=f"no recipe for a classifier of nodules, which must .*{sentence}"):
        classifier_stage(read_recipe(write_recipe(tmp_path, values)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"activation": "sigmoid"}, "its activation must be softmax"),
        ({"network": {"encoder": ENCODER, "decoder": {"name": "skip"}, "out_channels": 2}}, "labels has 0 entries"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(trained, tmp_path, change, sentence):
    package = replace(trained, stages=(replace(trained.stages[0], **change),))
    with pytest.raises(ModelError, match=sentence):
        save_package(package, {"nodule": trained.read_weights("nodule")}, tmp_path)


# -- asking it ---------------------------------------------------------------------------------------------------------


def test_every_nodule_of_the_table_is_answered_right(trained, data, tmp_path, capsys):
    nodules, right = read_nodules(data[0]), 0
    for nodule in nodules[:6]:
        out = tmp_path / f"{nodule.name}.json"
        table = ["--centres", str(data[0]), "-o", str(out), "--quiet", "--device", "cpu"]
        assert main(["classify", "run", str(trained.path), str(nodule.image), *table]) == 0
        (answer,) = json.loads(out.read_text())["nodules"]
        assert answer["name"] == nodule.name and answer["benign"] + answer["malignant"] == pytest.approx(1)
        right += answer["answer"] == nodule.kind
    assert right >= 5
    assert "15 points of" in capsys.readouterr().err


def test_a_point_in_ras_is_the_same_point(trained, data, capsys):
    nodule = read_nodules(data[0])[0]
    x, y, z = nodule.centre
    command = ["classify", "run", str(trained.path), str(nodule.image), "--quiet", "--centre"]
    assert main([*command, str(x), str(y), str(z)]) == 0
    straight = capsys.readouterr().out
    assert main([*command, str(-x), str(-y), str(z), "--space", "RAS"]) == 0
    assert capsys.readouterr().out == straight and "malignant 0." in straight


def test_the_probability_is_of_the_prevalence_that_is_stated(trained, data, tmp_path, capsys):
    nodule = read_nodules(data[0])[0]
    run = ["classify", "run", str(trained.path), str(nodule.image), "--quiet", "--centre", *map(str, nodule.centre)]

    def asked(*more):
        assert main([*run, *more, "-o", str(tmp_path / "answer.json")]) == 0
        (answer,) = json.loads((tmp_path / "answer.json").read_text())["nodules"]
        return answer["malignant"], answer["prevalence"], capsys.readouterr().out

    half, stated, said = asked()
    assert stated == 0.5 and "of a prevalence of 50 % malignant, as in the model's training; state yours" in said
    assert "where 50 % of the points are" in trained.card
    rare, stated, said = asked("--prevalence", "0.05")
    assert stated == 0.05 and said.endswith("Probabilities are of a prevalence of 5 % malignant.\n")
    assert rare / (1 - rare) == pytest.approx(half / (1 - half) * 0.05 / 0.95, rel=1e-6)
    assert main([*run, "--prevalence", "5"]) == 2
    assert "must be between 0 and 1, such as 0.05 for 5 %" in capsys.readouterr().err


def test_bayes_odds_from_the_training_s_share_to_the_stated_one():
    # Of 1000 nodules 100 are malignant; 8 of 10 malignant and 1 of 10 benign ones look suspicious.
    taught = 0.8 * 0.3 / (0.8 * 0.3 + 0.1 * 0.7)  # what a network says that was taught 30 % malignant ones
    found = at_prevalence(np.array([[1 - taught, taught]]), 0.3, 0.1)
    assert found[0] == pytest.approx([90 / 170, 80 / 170])


def test_what_cannot_be_answered_is_told_in_a_sentence(trained, data, tmp_path, capsys):
    scan = str(read_nodules(data[0])[0].image)
    run = ["classify", "run", str(trained.path), scan, "--quiet"]
    assert main([*run, "--centre", "900", "0", "0"]) == 2
    assert "lies outside of s00.nii.gz" in capsys.readouterr().err
    assert main([*run, "--centre", "0", "0", "0", "-o", str(tmp_path / "a.txt")]) == 2
    assert ".json" in capsys.readouterr().err
    other = tmp_path / "other.csv"
    other.write_text("scan,x,y,z\nelsewhere.nii.gz,0,0,0\n")
    assert main([*run, "--centres", str(other)]) == 2
    assert "names no point in s00.nii.gz" in capsys.readouterr().err
    assert main(["classify", "train", str(other), "-o", str(tmp_path / "r"), "--quiet"]) == 2
    assert "line 2: it has neither a label" in capsys.readouterr().err and not (tmp_path / "r").exists()


def test_a_scan_that_is_no_ct_is_told(trained, tmp_path, capsys):
    array = np.random.default_rng(0).integers(0, 4000, (20, 24, 24)).astype(np.int16)
    write_volume(Volume(array, Geometry((24, 24, 20), (2.0, 2.0, 2.0))), tmp_path / "mr.nii.gz")
    command = ["classify", "run", str(trained.path), str(tmp_path / "mr.nii.gz"), "--centre", "20", "20", "20"]
    assert main([*command, "--device", "cpu", "--quiet"]) == 0
    assert "mr.nii.gz do not look like a CT" in capsys.readouterr().err
