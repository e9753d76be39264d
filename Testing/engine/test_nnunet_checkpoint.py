"""Checkpoints are read without running anything of them; what else is wrong with one is said in a sentence."""

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from Med3DCore.errors import ModelError
from Med3DCore.models.nnunet.checkpoint import Checkpoint


class Marker:
    """Pickled as a call that makes a folder, as a malicious file would have any other call made."""

    def __init__(self, folder, function=Path.mkdir):
        self.call = (function, (folder,))

    def __reduce__(self):
        return self.call


def saved(content, **options) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(content, file, **options)
    file.seek(0)
    return file


def with_pickle(pickled: bytes) -> io.BytesIO:
    """A checkpoint whose pickle is this."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
    file.seek(0)
    return file


def refusal(file: io.BytesIO) -> str:
    with pytest.raises(ModelError) as caught:
        Checkpoint(file, "fold_0/checkpoint_final.pth").weights("network_weights")
    sentence = str(caught.value)
    assert "checkpoint_final.pth" in sentence and sentence.endswith(".") and "\n" not in sentence
    return sentence


def test_what_a_trainer_pickles_is_read():
    transposed = torch.arange(6.0).reshape(2, 3).T
    content = {
        "network_weights": {"a": torch.ones(2, dtype=torch.float16), "b": transposed, "count": torch.tensor(3)},
        "best": np.float32(0.5),
        "numbers": [np.int64(-3), np.float64(0.25), np.bool_(True)],
        "settings": {"device": torch.device("cuda", 1), "size": torch.Size([2, 3]), "none": None, "set": {1, 2}},
        "parameter": torch.nn.Parameter(torch.zeros(1)),
    }
    checkpoint = Checkpoint(saved(content), "x")
    weights = checkpoint.weights("network_weights")
    assert weights["a"].dtype == torch.float32 and weights["count"].item() == 3
    assert weights["b"].equal(transposed) and weights["b"].is_contiguous()
    assert checkpoint.content["best"] == 0.5 and checkpoint.content["numbers"] == [-3, 0.25, True]
    assert checkpoint.content["settings"] == {"device": "cuda:1", "size": (2, 3), "none": None, "set": {1, 2}}


@pytest.mark.parametrize("place", ["weights", "beside", "key"])
def test_any_other_call_is_refused_before_it_runs(tmp_path, place):
    folder = tmp_path / "ran"
    marker = Marker(folder)
    content = {"network_weights": {"a": torch.ones(2)}}
    if place == "weights":
        content["network_weights"]["b"] = marker
    elif place == "beside":
        content["x"] = [marker]
    else:
        content[marker] = 1
    assert "never runs code" in refusal(saved(content))
    assert not folder.exists()
    file = saved(content)
    torch.load(file, weights_only=False)  # the call itself is one that runs
    assert folder.exists()


@pytest.mark.parametrize("name", ["builtins.eval", "builtins.getattr", "os.system", "torch.load", "numpy.load"])
def test_names_outside_the_list_are_refused(name):
    module, _, function = name.rpartition(".")
    assert name in refusal(with_pickle(b"\x80\x02c" + f"{module}\n{function}\n".encode() + b"."))


def test_what_a_pickle_may_name_cannot_be_changed():
    """A pickle may set attributes; a function that took them would behave otherwise for the next file."""
    changed = b"(NX\x0c\x00\x00\x00__defaults__q\x01K\x01\x85q\x02"  # the state (None, {"__defaults__": (1,)})
    for name in ("torch._utils\n_rebuild_tensor_v2", "collections\nOrderedDict"):
        pickled = b"\x80\x02c" + name.encode() + b"\n" + b"N}" + changed[2:18] + b"K\x01\x85s\x86b."
        refusal(with_pickle(pickled))


def test_a_tensor_beyond_its_numbers_is_refused():
    class Beyond:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, (torch.zeros(2).untyped_storage(), 0, (4,), (1,), False, {})

    content = {"network_weights": {"a": torch.ones(4)}}
    file = saved(content)
    with zipfile.ZipFile(file) as archive:
        pickled = archive.read("archive/data.pkl")
    assert pickled.count(b"K\x04") == 2  # the storage's length and the tensor's
    refusal(with_pickle(pickled.replace(b"K\x04", b"K\x02", 1)))


def test_a_place_in_the_memo_far_beyond_the_file_is_refused():
    refusal(with_pickle(b"\x80\x02}r" + struct.pack("<I", 1 << 31) + b"."))


def test_damaged_files_are_refused():
    whole = saved({"network_weights": {"a": torch.ones(100)}}).getvalue()
    for broken in (b"", whole[: len(whole) // 2], b"no zip at all", pickle.dumps({"network_weights": {}})):
        assert "copy the file again" in refusal(io.BytesIO(broken))
    old_format = saved({"network_weights": {"a": torch.ones(2)}}, _use_new_zipfile_serialization=False)
    refusal(old_format)


def test_no_weights_or_none_that_are_finite():
    assert "holds no weights" in refusal(saved({"state_dict": {}}))
    assert "something else than a tensor" in refusal(saved({"network_weights": {"a": 1.0}}))
    assert "not finite" in refusal(saved({"network_weights": {"a": torch.tensor([1.0, float("nan")])}}))
