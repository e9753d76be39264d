"""Damaged and hostile model packages: refused with a sentence, and nothing in them ever runs."""

import hashlib
import io
import json
import os
import random
import stat
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest
import torch
from test_models_package import make_encoder_package, make_package, make_weights, write

from Med3DCore.errors import ModelError
from Med3DCore.models import load_package, save_package
from Med3DCore.models.weights import load_tensors, tensors_from_bytes

WEIGHTS = "weights/coarse.pt"


def rebuild(path, changes, compression=zipfile.ZIP_STORED):
    """Write the archive again with members changed, added or (None) removed, without any check."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | changes
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            if data is not None:
                archive.writestr(name, data)
    return path


def with_weights(path, data, name=WEIGHTS):
    """Replace weights and correct the size and hash in model.json, as an attacker would."""
    with zipfile.ZipFile(path) as archive:
        document = json.loads(archive.read("model.json"))
    for member in document["members"]:
        if member["name"] == name:
            member |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return rebuild(path, {name: data, "model.json": json.dumps(document)})


def with_document(path, change):
    with zipfile.ZipFile(path) as archive:
        document = json.loads(archive.read("model.json"))
    change(document)
    return rebuild(path, {"model.json": json.dumps(document)})


@pytest.fixture
def package_file(tmp_path):
    return write(tmp_path)


def refused(path, pattern):
    with pytest.raises(ModelError, match=pattern) as caught:
        load_package(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


class Evil:
    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return (os.mkdir, (self.target,))


@pytest.mark.parametrize("zip_format", [True, False])
def test_a_pickle_with_code_never_runs(package_file, tmp_path, zip_format):
    target = tmp_path / "executed"
    buffer = io.BytesIO()
    torch.save({"conv1.weight": Evil(target)}, buffer, _use_new_zipfile_serialization=zip_format)
    torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)
    assert target.is_dir(), "the attack must work without our care"
    target.rmdir()
    package = load_package(with_weights(package_file, buffer.getvalue()))
    with pytest.raises(ModelError, match=r"liver-lungs.* (program code|is damaged)") as caught:
        package.read_weights("coarse")
    assert not target.exists()
    assert ("program code" in str(caught.value)) == zip_format
    with pytest.raises(ModelError):
        package.verify()
    assert not target.exists()


@pytest.mark.parametrize(
    "content",
    [
        [torch.zeros(3)],
        {"a": [1, 2]},
        {1: torch.zeros(3)},
        {"a": torch.zeros(1).expand(1 << 40)},
        {"a": torch.zeros(3).to_sparse()},
        {"a": torch.zeros(3, dtype=torch.complex64)},
        {"a": torch.zeros(1000, device="meta")},
    ],
    ids=["list", "numbers", "keys", "expanded", "sparse", "complex", "meta"],
)
def test_only_plain_tensors_by_name(package_file, content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    package = load_package(with_weights(package_file, buffer.getvalue()))
    with pytest.raises(ModelError, match="something else than tensors"):
        package.read_weights("coarse")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_weights_that_are_not_finite_do_not_verify(package_file, value, dtype):
    tensors = load_package(package_file).read_weights("coarse")
    key = next(key for key, tensor in tensors.items() if tensor.ndim > 2)
    tensors[key] = tensors[key].to(dtype)
    tensors[key].view(-1)[3] = value
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    package = load_package(with_weights(package_file, buffer.getvalue()))
    with pytest.raises(ModelError, match=r"not finite .*get or train it again"):
        package.verify()


def test_tensors_that_share_memory_cannot_swell(package_file):
    shared = torch.zeros(10000)
    buffer = io.BytesIO()
    torch.save({str(i): shared for i in range(1000)}, buffer)
    package = load_package(with_weights(package_file, buffer.getvalue()))
    with pytest.raises(ModelError, match="more than the file's size"):
        package.read_weights("coarse")


def test_a_bomb_inside_the_weights(package_file):
    buffer, bomb = io.BytesIO(), io.BytesIO()
    torch.save({"a": torch.zeros(1 << 22)}, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert bomb.tell() < 100_000
    package = load_package(with_weights(package_file, bomb.getvalue()))
    with pytest.raises(ModelError, match="compressed or encrypted"):
        package.read_weights("coarse")


def test_a_zip_bomb(package_file):
    rebuild(package_file, {"card.md": b"0" * (64 << 20)}, zipfile.ZIP_DEFLATED)
    assert package_file.stat().st_size < 1 << 20
    refused(package_file, "model.json is compressed or encrypted")


def test_members_that_overlap(package_file):
    with zipfile.ZipFile(package_file, "a") as archive:
        twin = zipfile.ZipInfo("weights/more.pt")
        for field in ("header_offset", "CRC", "compress_size", "file_size"):
            setattr(twin, field, getattr(archive.getinfo(WEIGHTS), field))
        archive.filelist += [twin] * 2
        archive._didModify = True
    with pytest.raises(ModelError, match="more than the file's size"):
        load_package(package_file)


def test_huge_texts(package_file):
    original = package_file.read_bytes()
    for name in ("model.json", "card.md"):
        package_file.write_bytes(original)
        rebuild(package_file, {name: b" " * (17 << 20)})
        refused(package_file, f"{name} is larger than 16 MB")


def test_a_huge_member(package_file, monkeypatch):
    monkeypatch.setattr("Med3DCore.models.archive.WEIGHTS_LIMIT", 1000)
    refused(package_file, "weights/coarse.pt is larger than")


@pytest.mark.parametrize(
    "name",
    ["../evil.pt", "/etc/evil.pt", "weights/../../evil.pt", "weights\\evil.pt", "C:evil.pt", "weights/a/b.pt", "run.py",
     "weights/", "weights/evil.pt\0.pt"],
)  # fmt: skip
def test_members_with_other_names(package_file, tmp_path, name):
    with zipfile.ZipFile(package_file, "a") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, b"x")
    refused(package_file, "is not part of a model package")
    assert [p.name for p in tmp_path.iterdir()] == [package_file.name]


def test_a_link(package_file):
    info = zipfile.ZipInfo("weights/link.pt")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(package_file, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    refused(package_file, "link.pt' is not part of a model package")


def test_a_member_twice(package_file):
    with zipfile.ZipFile(package_file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(WEIGHTS, b"x")
    refused(package_file, "is not part of a model package")


def test_extra_and_missing_members(package_file):
    original = package_file.read_bytes()
    refused(rebuild(package_file, {"weights/extra.pt": b"x"}), "does not list weights/extra.pt")
    for member in (WEIGHTS, "card.md", "model.json"):
        package_file.write_bytes(original)
        refused(rebuild(package_file, {member: None}), f"is incomplete: {member} is missing")


def test_a_changed_byte_is_found(package_file):
    with zipfile.ZipFile(package_file) as archive:
        data = bytearray(archive.read(WEIGHTS))
    data[len(data) // 2] ^= 1
    package = load_package(rebuild(package_file, {WEIGHTS: bytes(data)}))
    with pytest.raises(ModelError, match=r"damaged or changed: weights/coarse.pt does not match its SHA-256"):
        package.read_weights("coarse")
    refused(rebuild(package_file, {WEIGHTS: bytes(data[:-1])}), "bytes instead of")
    refused(rebuild(package_file, {WEIGHTS: bytes(data), "card.md": b"# Liver and lungz\n\nA card.\n"}), "SHA-256")


def test_a_file_that_changes_after_it_was_opened(package_file):
    package = load_package(package_file)
    with_weights(package_file, b"something else")
    with pytest.raises(ModelError, match="was removed or replaced while it was in use"):
        package.read_weights("coarse")
    package_file.unlink()
    with pytest.raises(ModelError, match="was removed or replaced while it was in use"):
        package.read_weights("coarse")


def test_schema_versions(package_file):
    for version in (2, 99):
        with_document(package_file, lambda d, v=version: d.update(schema_version=v))
        refused(package_file, f"has model format {version}, but this Med3D reads format 1; update Med3D")
    for version in (0, -1, "1", None, True, [1]):
        with_document(package_file, lambda d, v=version: d.update(schema_version=v))
        refused(package_file, "does not say in which model format")


def test_documents_that_make_no_sense(package_file):
    wrong = {
        "lacks 'stages'": lambda d: d.pop("stages"),
        "the unknown entry 'code'": lambda d: d.update(code="x"),
        r"stages\[1\]\.window has 2 entries and needs 3": lambda d: d["stages"][1].update(window=[64, 64]),
        r"stages\[0\]\.activation is none of sigmoid, softmax": lambda d: d["stages"][0].update(activation="tanh"),
        r"labels\[0\]\.colour\[0\] is above 255": lambda d: d["labels"][0].update(colour=[256, 0, 0]),
        "instead of weights/coarse.pt, weights/liver.pt": lambda d: d["members"].pop(0),
        r"members\[0\]\.name must be \^": lambda d: d["members"][0].update(name="../x"),
        "labels has 2 entries and may have 0": lambda d: d.update(kind="encoder", encoder={"name": "resnet"}),
        "encoder is not an object": lambda d: d.update(kind="encoder"),
    }
    original = package_file.read_bytes()
    for message, change in wrong.items():
        package_file.write_bytes(original)
        refused(with_document(package_file, change), message)


@pytest.mark.parametrize("text", ["", "nonsense", "[" * 100_000, '{"a": NaN}', '{"a": 1e999}', b"\xff\xfe"])
def test_model_json_that_is_not_json(package_file, text):
    refused(rebuild(package_file, {"model.json": text}), "model.json cannot be read")


def test_truncated_and_other_files(package_file, tmp_path):
    whole = package_file.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        package_file.write_bytes(whole[:length])
        refused(package_file, "damaged, incomplete or no model package")
    with pytest.raises(ModelError, match="There is no model package"):
        load_package(tmp_path / "none.med3d.zip")
    with pytest.raises(ModelError, match="Cannot read"):
        load_package(tmp_path)


def test_random_damage_never_gives_another_error(tmp_path):
    """Whatever bytes change, the answer is a sentence or, if nothing important changed, the right weights."""
    package = make_encoder_package()
    weights = make_weights(package)
    path = save_package(package, weights, tmp_path, half=False)
    whole = path.read_bytes()
    table = whole.rindex(b"PK\x01\x02")
    rng = random.Random(0)
    refusals = 0
    for i in range(300):
        data = bytearray(whole)
        # Half of the damage goes where the structure is: the table of contents at the end, model.json at the start.
        position = (
            rng.choice((rng.randrange(table - 100, len(data)), rng.randrange(5000)))
            if i % 2
            else rng.randrange(len(data))
        )
        data[position] = rng.randrange(256)
        path.write_bytes(data)
        try:
            read = load_package(path).read_weights("encoder")
        except ModelError:
            refusals += 1
        else:
            assert all(torch.equal(read[key], value) for key, value in weights["encoder"].items())
    assert refusals > 100


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_random_damage_of_weights_with_a_right_hash():
    from Med3DCore.models.weights import tensors_to_bytes

    whole = tensors_to_bytes({"a": torch.arange(100.0), "b": torch.ones(3, 3)}, False, "test")
    rng = random.Random(0)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            tensors_from_bytes(bytes(data), "test")
        except ModelError as error:
            assert "\n" not in str(error)


def test_weights_are_compared_before_a_network_is_built(tmp_path):
    """A small package whose description promises 60 billion weights, told in less memory than they would take."""
    package = make_package()
    weights = make_weights(package)
    stage = package.stages[0]
    network = {**stage.network, "encoder": {**stage.network["encoder"], "depth": 200, "width": 1024}}
    huge = replace(package, stages=(replace(stage, network=network), *package.stages[1:]))
    path = save_package(huge, weights, tmp_path)
    code = """
import resource, sys
from Med3DCore.models import load_package
import torch
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    getattr(load_package(sys.argv[1]), sys.argv[2])(*sys.argv[3:])
except Exception as error:
    print(type(error).__name__, error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    for what in (["verify"], ["read_weights", stage.name]):
        command = [sys.executable, "-c", code, str(path), *what]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.splitlines()
        assert "ModelError" in said[0] and "do not fit its network" in said[0] and int(said[1]) < 400_000  # kB


def test_a_checkpoint_is_inflated_within_bounds(tmp_path):
    path = tmp_path / "small.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("small/data/0", bytes(64 << 20))
    with pytest.raises(ModelError, match="says to hold 64 MB"):
        load_tensors(path, "small.pth")
