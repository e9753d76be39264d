"""Our own checks and the published JSON schema say the same."""

import copy
import itertools
import json
import zipfile

import jsonschema
import pytest
from test_models_package import make_encoder_package, write

from Med3DCore.models.schema import model_schema, problems

VALUES = (
    None, True, 0, 1, -1, 3.0, 2.5, 10**9, "", "x", "a-b_c", "A B\n", "1.2.3", "x" * 600, [], [1, 2, 3], [0, 0, 0],
    [[1, 1, 1], [2, 2, 2]], ["a", "a"], ["a", "b", "c"], [None], {}, {"name": "resnet"}, {"liver": {}}, {"liver": 1},
    "encoder", "pipeline", "sigmoid", "2025-11-20T17:31:00Z", "weights/x.pt", "f" * 64,
    {"data_sets": [{"name": "x", "licence": "y"}]}, {"data_sets": [{"name": "x", "licence": "y", "attribution": "z"}]},
    {"stage": "coarse", "margin_mm": 0}, {"stage": "coarse", "margin_mm": -1},
    {"spacing": [1, 1, 1], "intensity": {}}, {"encoder": {}, "decoder": {}, "out_channels": 1.0},
)  # fmt: skip


def document(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("model.json"))


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def mutations(original, every):
    """The document with each of its values replaced by one of VALUES, removed, or with one entry more."""
    choices = itertools.product([path for path in places(original) if path], (*VALUES, "REMOVE", "ADD"))
    for path, value in itertools.islice(choices, 0, None, every):
        changed = copy.deepcopy(original)
        parent = changed
        for key in path[:-1]:
            parent = parent[key]
        if value == "REMOVE":
            del parent[path[-1]]
        elif value == "ADD" and isinstance(parent, dict):
            parent["added"] = parent[path[-1]]
        elif value == "ADD":
            parent.append(parent[path[-1]])
        else:
            parent[path[-1]] = value
        yield path, value, changed


@pytest.mark.parametrize(("package", "every"), [(None, 7), (make_encoder_package(), 2)], ids=["pipeline", "encoder"])
def test_agrees_with_jsonschema(tmp_path, package, every):
    schema = model_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    original = document(write(tmp_path, package))
    assert validator.is_valid(original)
    assert not list(problems(original, schema, schema))
    verdicts = {True: 0, False: 0}
    for path, value, changed in mutations(original, every):
        valid = validator.is_valid(changed)
        ours = list(problems(changed, schema, schema))
        # jsonschema's regular expressions let a line break slip in at the end, which the standard's do not.
        if isinstance(value, str) and value.endswith("\n"):
            assert ours or valid
        else:
            assert valid == (not ours), (path, value, ours)
        verdicts[valid] += 1
    assert min(verdicts.values()) > 100


def test_the_checker_knows_every_keyword_of_the_schema():
    known = {
        "$schema", "$defs", "$ref", "title", "description", "type", "const", "enum", "pattern", "minLength",
        "maxLength", "minimum", "maximum", "exclusiveMinimum", "items", "minItems", "maxItems", "uniqueItems",
        "required", "properties", "additionalProperties", "if", "then", "else",
    }  # fmt: skip
    used = set()

    def walk(schema):
        used.update(schema)
        for keyword, value in schema.items():
            if keyword in ("properties", "$defs"):
                for part in value.values():
                    walk(part)
            elif keyword in ("items", "additionalProperties", "if", "then", "else") and isinstance(value, dict):
                walk(value)

    walk(model_schema())
    assert used <= known
    assert all(p.startswith("^") and p.endswith("$") for p in patterns(model_schema()))


def patterns(schema):
    for keyword, value in schema.items():
        if keyword == "pattern" and isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from patterns(value)


@pytest.mark.parametrize("part", ["name", "line"])
def test_no_line_break_slips_in(part):
    schema = model_schema()
    assert not list(problems("liver", schema["$defs"][part], schema))
    assert list(problems("liver\n", schema["$defs"][part], schema))
