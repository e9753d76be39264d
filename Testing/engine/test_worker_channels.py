"""Models of several images of a patient: what they are called, and the worker's requests with further images."""

import numpy as np
import pytest
from bright_model import GEOMETRY, make_stage, make_volume, save_model

from Med3DCore.cli.main import main
from Med3DCore.geometry import Geometry
from Med3DCore.inference.segment import segment
from Med3DCore.models.channels import channel_names
from Med3DCore.models.entry import read_entry
from Med3DCore.models.stage import Stage
from Med3DCore.preprocessing import Preprocessing
from Med3DCore.volume import Volume
from Med3DCore.worker.client import RequestError, WorkerClient
from Med3DCore.worker.exchange import new_exchange_folder, read_volume_array, write_volume_array

NAMES = ("plain", "contrast")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Finds what is bright in the image ``contrast``, first coarsely."""
    stages = [
        make_stage("coarse", ("liver",), 4.0, channels=NAMES),
        make_stage("fine", ("liver",), 2.0, {"stage": "coarse", "margin_mm": 6.0}, channels=NAMES),
    ]
    return save_model(tmp_path_factory.mktemp("models"), "two", stages)


@pytest.fixture(scope="module")
def plain():
    """An image in which nothing is bright."""
    noise = np.random.default_rng(7).normal(-60, 30, GEOMETRY.shape)
    return Volume(noise.astype(np.int16), GEOMETRY, "plain")


@pytest.fixture(scope="module")
def ask(model, plain):
    """Asks for the liver of ``plain``, with the given further images."""
    with WorkerClient() as client, new_exchange_folder() as folder:

        def asked(*channels, type="segment", **fields):
            further = [write_volume_array(volume, folder, "channel") for volume in channels]
            about = {"volume": write_volume_array(plain, folder, "scan"), "organs": ["liver"], "model": str(model)}
            return client.request(type, **about, device="cpu", channels=further, **fields)

        yield asked


def stage(*names, **intensity):
    return Stage("s", {}, {"intensity": {"channels": list(names), **intensity}}, ("a",), "sigmoid", (16,) * 3)


def test_names_of_the_images():
    ours, numbers = channel_names([stage("t1", "t2")], {}), channel_names([stage({}, {}, {})], {})
    assert ours == ("t1", "t2") and numbers == ("image 1", "image 2", "image 3")
    imported = {"imported": {"channels": ["T1", "FLAIR"]}}
    assert channel_names([stage({}, {})], imported) == ("T1", "FLAIR")
    for strange in (["T1"], ["T1", "T1"], ["T1", 2], None, "T1"):
        assert channel_names([stage({}, {})], {"imported": {"channels": strange}}) == ("image 1", "image 2")
    assert channel_names([stage({}, {})], {"imported": "?"}) == ("image 1", "image 2")
    assert channel_names([stage({})], imported) == channel_names([], {}) == ()


def test_programs_and_people_are_told_them(model, capsys):
    assert read_entry(model, shipped=False).to_dict()["channels"] == list(NAMES)
    assert main(["models", "show", str(model)]) == 0
    assert "Images:    plain, contrast\n" in capsys.readouterr().out


def test_the_worker_finds_what_the_engine_finds_in_the_image_that_counts(ask, model, plain):
    expected = segment(plain, ["liver"], str(model), "cpu", channels=[make_volume()])
    result = ask(make_volume())
    found = read_volume_array(result["labels"])
    assert found.array.any() and np.array_equal(found.array, expected.labels.array)
    assert result["report"] == expected.report()
    assert not read_volume_array(ask(plain)["labels"]).array.any()


def test_a_region_cuts_all_images_alike(ask):
    low, high = GEOMETRY.bounds_of_box((30, 12, 2), (48, 44, 38))  # so that what is seen begins within the scan, too
    whole, part = (
        read_volume_array(ask(make_volume(), **more)["labels"]).array
        for more in ({}, {"region": [low.tolist(), high.tolist()]})
    )
    assert part[..., 30:].any() and not part[..., :30].any()
    assert np.mean(whole[2:38, 12:, 30:] == part[2:38, 12:, 30:]) > 0.98


def test_images_that_do_not_fit_are_refused_in_a_sentence(ask, plain):
    moved = Geometry(GEOMETRY.size, GEOMETRY.spacing, (-50.0, -40.0, 11.0), GEOMETRY.direction)
    for channels, sentence in (
        ((), "needs 2 images of a patient"),
        ((plain, plain), "but 3 were given"),
        ((Volume(plain.array, moved, "moved"),), "moved lies on another grid than plain"),
        ((plain.with_array(np.zeros_like(plain.array)),), "plain"),
    ):
        for type in ("segment", "preview"):
            with pytest.raises(RequestError, match=sentence):
                ask(*channels, type=type)


def test_the_preview_shows_any_of_the_images_where_both_together_lead_it(ask, plain):
    contrast, bounds = make_volume(), []
    for number, image in enumerate((plain, contrast)):
        result = ask(contrast, type="preview", channel=number)
        seen, box = read_volume_array(result["volume"]), tuple(np.array(side) for side in result["box"])
        expected = Preprocessing.from_dict(make_stage("s", ("liver",), 2.0, channels=NAMES).preprocessing)
        assert np.allclose(seen.array, expected.apply(image, box).array, atol=1e-6)
        assert result["before"]["mean"] == pytest.approx(image.array.mean()) and result["box_from"] == "coarse"
        bounds.append(result["box"])
    assert bounds[0] == bounds[1]
    with pytest.raises(RequestError, match="takes 2 images of a patient; there is no 2"):
        ask(contrast, type="preview", channel=2)
