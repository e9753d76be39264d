"""The worker's words: framing, encoding, the fields of requests, and volumes through the exchange folder."""

import json
import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from Med3DCore.errors import OutputError, VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.labels import find_labels
from Med3DCore.volume import LabelMap, Volume
from Med3DCore.worker import exchange
from Med3DCore.worker.exchange import new_exchange_folder, read_volume_array, write_volume_array
from Med3DCore.worker.fields import read_fields
from Med3DCore.worker.protocol import (
    MAX_LINE,
    Advance,
    End,
    Failure,
    LineReader,
    Log,
    ProtocolError,
    Ready,
    Request,
    Result,
    decode_event,
    decode_request,
    encode,
)

GEOMETRY = Geometry((5, 4, 3), (0.7, 0.8, 2.5), (-10.0, 20.0, 1e-7), (0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0))
EVENTS = [
    Ready(12, {"torch": None}),
    Advance(1, "coarse: network", 0.25, None),
    Log("a", "Ünïcode \N{LUNGS} and\nnewline"),
    Result(1, {"file": "/tmp/\udcff.raw"}),
    Failure(None, "bad-request", "What?"),
    End("idle"),
]


@pytest.mark.parametrize("event", EVENTS)
def test_events_come_back_from_one_ascii_line(event):
    line = encode(event)
    assert line.isascii() and line.count(b"\n") == 1 and line.endswith(b"\n")
    assert decode_event(line) == event


def test_requests_come_back():
    request = Request("x", "segment", {"organs": ["liver"]})
    assert decode_request(encode(request)) == request
    assert decode_request(b'{"id": 3, "type": "info"}\r') == Request(3, "info", {})


@pytest.mark.parametrize(
    "line, sentence, id",
    [
        (b"hello", "not a JSON object on one line: hello", None),
        (b"[1]", "not a JSON object", None),
        (b'{"id": 1, "type": "info", "x": NaN}', "not a JSON object", None),
        (b"[" * 100_000, "not a JSON object", None),
        (b"\xff\xfe{", r"\\xff", None),
        (b'{"type": "info"}', "lacks an id", None),
        (b'{"id": true, "type": "info"}', "lacks an id", None),
        (b'{"id": 7}', "lacks its type", 7),
        (b'{"id": 7, "type": 3}', "lacks its type", 7),
        (b'{"id": 1, "type": "' + b"x" * MAX_LINE + b'"}', "longer than", None),
    ],
)
def test_bad_requests_get_a_sentence(line, sentence, id):
    with pytest.raises(ProtocolError, match=sentence) as caught:
        decode_request(line)
    assert caught.value.id == id


@pytest.mark.parametrize(
    "line",
    [b"OMP: Warning", b"{}", b'{"event": "dance"}', b'{"event": ["end"]}', b'{"event": "result"}', b"3", b"\xff"],
)
def test_a_client_takes_garbage_for_no_event(line):
    assert decode_event(line) is None


def test_events_may_say_more_than_this_client_knows():
    assert decode_event(b'{"event": "end", "reason": "idle", "new": 1}') == End("idle")


def test_values_that_are_no_json_are_refused():
    with pytest.raises(ValueError):
        encode(Result(1, {"x": float("nan")}))
    with pytest.raises(TypeError):
        encode(Result(1, {"x": Path()}))


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_lines_are_put_together_from_pieces(step):
    data = b'{"a":1}\r\n\n  \n{"b":2}\n{"c"'
    reader = LineReader()
    lines = [line for i in range(0, len(data), step) for line in reader.feed(data[i : i + step])]
    assert lines == [b'{"a":1}', b'{"b":2}']
    assert reader.feed(b":3}\n") == [b'{"c":3}']


def test_an_endless_line_does_not_fill_the_memory_and_the_next_is_read():
    reader = LineReader()
    for _ in range(40):
        assert reader.feed(b"x" * 100_000) == []
    long, short = reader.feed(b"\n{}\n")
    assert len(long) == MAX_LINE + 1 and short == b"{}"


@dataclass(frozen=True)
class Fields:
    volume: dict
    organs: list[str]
    model: str | None = None
    level: float = 0.5
    region: list[list[float]] | None = None


def test_fields_are_filled_and_defaults_kept():
    values = {"volume": {}, "organs": ["liver"], "region": [[1, 2.5, 3], [4, 5, 6]], "level": 1}
    fields = read_fields(Fields, values, "segment")
    assert fields == Fields({}, ["liver"], None, 1, [[1, 2.5, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    "values, sentence",
    [
        ({"volume": {}}, "lacks its field 'organs'"),
        ({"volume": {}, "organs": "liver"}, "'organs' of the request 'segment' must be .*, not 'liver'"),
        ({"volume": {}, "organs": [1]}, "'organs'"),
        ({"volume": {}, "organs": [], "modle": "x"}, "no field 'modle'; its fields are volume, organs, model"),
        ({"volume": {}, "organs": [], "level": True}, "'level'"),
        ({"volume": {}, "organs": [], "region": [1, 2]}, "'region'"),
    ],
)
def test_wrong_fields_get_a_sentence(values, sentence):
    with pytest.raises(ProtocolError, match=sentence):
        read_fields(Fields, values, "segment")


# -- exchange ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*exchange.DTYPES, ">i2", ">f8", bool])
def test_volumes_come_back_with_values_and_place(tmp_path, dtype):
    array = np.arange(60).reshape(3, 4, 5).astype(dtype)
    description = write_volume_array(Volume(array, GEOMETRY, "scan"), tmp_path)
    back = read_volume_array(json.loads(json.dumps(description)))
    assert np.array_equal(back.array, array) and back.array.dtype.kind == ("u" if dtype is bool else array.dtype.kind)
    assert back.geometry == GEOMETRY and back.name == "scan" and type(back) is Volume
    assert isinstance(back.array, np.memmap)


def test_views_are_written_in_their_own_order_and_mapped_copy_on_write(tmp_path):
    array = np.arange(60, dtype=np.int16).reshape(5, 4, 3).transpose(2, 1, 0)[::-1]
    description = write_volume_array(Volume(array, GEOMETRY), tmp_path)
    back = read_volume_array(description)
    assert np.array_equal(back.array, array)
    back.array[:] = 0
    assert np.array_equal(read_volume_array(description).array, array)


def test_label_maps_keep_their_labels(tmp_path):
    labels = find_labels(["liver", "left_lung"])
    found = LabelMap(np.ones((3, 4, 5), np.uint8), GEOMETRY, "found", labels)
    back = read_volume_array(write_volume_array(found, tmp_path))
    assert isinstance(back, LabelMap) and back.labels == labels and back.volume_ml("liver") == found.volume_ml("liver")


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"file": "/no/where.raw"}, "cannot be read from .*No such file"),
        ({"shape": [3, 4, 6]}, "holds 120 bytes, but scan needs 144"),
        ({"shape": [1 << 40, 1 << 40, 1 << 40]}, "holds 120 bytes"),
        ({"shape": [60, 1]}, "needs a 3D volume"),
        ({"shape": [0, 4, 5]}, "needs a 3D volume"),
        ({"shape": "many"}, "cannot be read"),
        ({"dtype": "complex128"}, "voxels of type complex128"),
        ({"dtype": "object"}, "voxels of type object"),
        ({"dtype": "nonsense"}, "cannot be read"),
        ({"spacing": [1, 1, 0]}, "spacing of 1 x 1 x 0 mm"),
        ({"spacing": [1, 1, 1e-30]}, "spacing of 1 x 1 x 1e-30 mm"),
        ({"spacing": [1, 1, 1e30]}, "spacing of 1 x 1 x 1e\\+30 mm"),
        ({"spacing": [1, 1]}, "no usable geometry"),
        ({"origin": [0, 0, 1e999]}, "where its voxels lie"),
        ({"origin": [0, 0, 1e30]}, "cannot be in a patient"),
        ({"direction": [1, 0, 0, 0.5, 1, 0, 0, 0, 1]}, "not at right angles"),
        ({"labels": []}, "must be uint8"),
        ({"labels": [3]}, "cannot be read"),
        ({"labels": [{"name": "x"}]}, "lacks 'title'"),
    ],
)
def test_wrong_descriptions_get_a_sentence(tmp_path, change, sentence):
    description = write_volume_array(Volume(np.zeros((3, 4, 5), np.int16), GEOMETRY, "scan"), tmp_path)
    with pytest.raises(VolumeError, match=sentence):
        read_volume_array({**description, **change})


def test_a_description_without_a_file_gets_a_sentence():
    with pytest.raises(VolumeError, match="lacks 'file'"):
        read_volume_array({})


def test_the_folder_is_private_and_its_maker_removes_it():
    with new_exchange_folder() as folder:
        write_volume_array(Volume(np.zeros((3, 4, 5), np.int16), GEOMETRY), folder)
        if os.name == "posix":
            assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
    assert not Path(folder).exists()


def test_what_cannot_be_exchanged_or_written_gets_a_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    with pytest.raises(VolumeError, match="complex128"):
        write_volume_array(Volume(np.zeros((3, 4, 5), complex), GEOMETRY), tmp_path)
    volume = Volume(np.zeros((3, 4, 5), np.int16), GEOMETRY)
    with pytest.raises(OutputError, match="cannot be written"):
        write_volume_array(volume, tmp_path / "missing")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exchange.np, "ascontiguousarray", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_volume_array(volume, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_slicer_imports_loads_neither_torch_nor_simpleitk_nor_scipy():
    code = (
        "import sys, Med3DCore.worker.client, Med3DCore.worker.exchange, Med3DCore.worker.server;"
        "print({'torch', 'SimpleITK', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
