"""The worker makes phantoms: the same as the engine makes, in a process of its own."""

import numpy as np
import pytest

from Med3DCore.phantom import PhantomSettings, make_phantom
from Med3DCore.worker.client import RequestError, WorkerClient
from Med3DCore.worker.exchange import new_exchange_folder, read_volume_array

ASKED = {"labels": ["lungs", "liver"], "seed": 3, "spacing": 8.0, "region": "chest", "contrast": "native"}


@pytest.fixture(scope="module")
def client():
    with WorkerClient() as worker:
        yield worker


def test_a_phantom_comes_over_the_exchange_folder(client):
    steps = []
    with new_exchange_folder() as folder:
        answer = client.request("phantom", lambda *step: steps.append(step), folder=folder, **ASKED)
        made, labels = (read_volume_array(answer[name]) for name in ("volume", "labels"))
        settings = PhantomSettings((8.0,) * 3, "chest", contrast="native", labels=("lungs", "liver"))
        expected = make_phantom(3, settings)
        assert made.geometry == expected.ct.geometry and np.array_equal(made.array, expected.ct.array)
        assert labels.labels == expected.labels.labels and np.array_equal(labels.array, expected.labels.array)
        del made, labels
    assert steps[-1][0] == "phantom"


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        ({"labels": ["tail"]}, "bad-setting", "tail"),
        ({"spacing": 0}, "bad-setting", "0.2 to 20 mm"),
        ({"folder": "/nowhere/at/all", "spacing": 15.0}, "bad-output", "nowhere"),
    ],
)
def test_wrong_wishes_get_a_sentence(client, tmp_path, change, code, sentence):
    with pytest.raises(RequestError, match=sentence) as error:
        client.request("phantom", **{"folder": str(tmp_path), **ASKED, **change})
    assert error.value.code == code and not list(tmp_path.iterdir())
