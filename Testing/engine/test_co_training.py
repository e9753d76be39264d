"""Co-training over domains: what a step may touch, how domains are drawn, what comes out and who can use it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from training_boxes import CPU, write_case, write_data

from Med3DCore.cli.main import main
from Med3DCore.errors import Cancelled, DataError, ModelError, SettingError
from Med3DCore.geometry import Geometry
from Med3DCore.models.package_file import load_package
from Med3DCore.networks import build_network
from Med3DCore.preprocessing.spacing import spacing_of
from Med3DCore.progress import Progress
from Med3DCore.training.co_training.co_training import CoTraining, DomainBatch, prepare_domains
from Med3DCore.training.co_training.domains import gather_cases, read_co_training
from Med3DCore.training.learning.loop import train
from Med3DCore.training.learning.optimization import ParameterGroup, make_optimizer

RECIPES = Path(__file__).parents[2] / "Resources" / "Recipes"
DOMAINS = [
    {"name": "upper", "labels": {"liver": ["liver"]}, "intensity": {"name": "window", "low": -160, "high": 160}},
    {"name": "lower", "labels": {"body": ["liver", "lungs"]}, "spacing": [5.0, 5.0, 5.0]},
    {"name": "third", "labels": {"lungs": ["lungs"]}, "decoder": {"name": "skip", "channels": [8, 8, 4, 4]}},
]


def write_co_training(folder, domains=DOMAINS, **values):
    recipe = {
        "seed": 3,
        "model": {
            "name": "tiny",
            "version": "0.0.1",
            "title": "Tiny",
            "description": "Boxes.",
            "modality": "CT",
            "licence": "CC0",
        },
        "encoder": {"name": "resnet", "depth": 10, "width": 4},
        "training": {"steps": 8, "patch": [16, 16, 16], "batch": 1, "validate_every": 4, "warmup": 1, "ema": 0.5},
        "domains": domains,
        **values,
    }
    path = folder / "co.json"
    path.write_text(json.dumps(recipe))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three domains: 4, 1 and 1 training cases, one held out each."""
    folder = tmp_path_factory.mktemp("boxes")
    entries = []
    for domain, count in (("upper", 4), ("lower", 1), ("third", 1)):
        names = [f"{domain}{i}" for i in range(count + 1)]
        splits = ["training"] * count + ["validation"]
        seeds = range(len(entries), len(entries) + count + 1)
        entries += [
            write_case(folder, name, seed, domain=domain, split=split)
            for name, seed, split in zip(names, seeds, splits, strict=True)
        ]
    return write_data(folder, entries)


def make_task(data, recipe_path):
    recipe = read_co_training(recipe_path)
    cases = gather_cases(recipe, [data], Progress())
    stages = {domain.name: domain.stage(cases[domain.name]) for domain in recipe.domains}
    return recipe, CoTraining(recipe, stages, prepare_domains(stages, cases))


@pytest.mark.parametrize("kind", ["adamw", "adam", "sgd"])
def test_a_step_leaves_idle_branches_and_their_optimizer_state_as_they_are(data, tmp_path, kind):
    _, task = make_task(data, write_co_training(tmp_path))
    network = task.build()
    groups = [ParameterGroup(tuple(network.parameters()))]
    optimizer = make_optimizer(kind, groups, learning_rate=0.01, weight_decay=0.1)

    def step(domain):
        optimizer.zero_grad(set_to_none=True)
        task.loss(network, DomainBatch(domain, task.tasks[domain].draw(0)), CPU).backward()
        optimizer.step()

    def state(domain):
        tensors = {key: value.clone() for key, value in network.branches[domain].state_dict().items()}
        for name, parameter in network.branches[domain].named_parameters():
            kept = optimizer.state.get(parameter, {})
            tensors |= {f"{name} {key}": torch.as_tensor(value).clone() for key, value in kept.items()}
        return tensors

    for domain in task.tasks:  # so that every branch has a state that momentum and decay could move
        step(domain)
    before = {domain: state(domain) for domain in task.tasks}
    step("third")
    after = {domain: state(domain) for domain in task.tasks}
    for idle in ("upper", "lower"):
        assert before[idle].keys() == after[idle].keys() and len(before[idle]) > 2
        assert all(torch.equal(before[idle][key], after[idle][key]) for key in before[idle])
    assert any(not torch.equal(before["third"][key], after["third"][key]) for key in before["third"])


@pytest.mark.parametrize(("alpha", "chances"), [(0, [1 / 3] * 3), (1, [4 / 6, 1 / 6, 1 / 6]), (0.5, [0.5, 0.25, 0.25])])
def test_domains_are_drawn_in_proportion_to_a_power_of_their_size(data, tmp_path, alpha, chances):
    _, task = make_task(data, write_co_training(tmp_path, alpha=alpha))
    assert task.chances == pytest.approx(chances)
    task.tasks = {name: Named(name) for name in task.tasks}
    drawn = [task.draw(number).domain for number in range(1500)]
    assert [drawn.count(name) / 1500 for name in task.tasks] == pytest.approx(chances, abs=0.05)


class Named:
    """Stands in for a domain whose patches do not matter."""

    def __init__(self, name):
        self.name = name

    def draw(self, number):
        return self.name


def test_batch_norm_of_the_encoder_settles_and_that_of_the_branches_does_not(data, tmp_path):
    _, task = make_task(data, write_co_training(tmp_path, settle=0.5))
    network = task.build().train()
    batch = next(batch for batch in map(task.draw, range(4, 100)) if batch.domain == "third")
    before = {key: value.clone() for key, value in network.state_dict().items() if "running" in key}
    task.begin_step(0.5)
    task.loss(network, batch, CPU)
    changed = {key for key, value in before.items() if not torch.equal(network.state_dict()[key], value)}
    assert changed and all(key.startswith("branches.third.") for key in changed)


def test_batch_norm_settles_after_a_part_of_the_steps_or_of_the_time(data, tmp_path):
    _, task = make_task(data, write_co_training(tmp_path, settle=0.5))
    settled = []
    for fraction in (0, 0.49, 0.5, 0.9):
        task.begin_step(fraction)
        settled.append(task.settled)
    assert settled == [False, False, True, True]


def test_each_domain_has_its_own_spacing_normalisation_and_labels(data, tmp_path):
    _, task = make_task(data, write_co_training(tmp_path))
    stages = [each.recipe.stage for each in task.tasks.values()]
    assert [stage.preprocessing["spacing"] for stage in stages] == [[4, 4, 4], [5, 5, 5], [4, 4, 4]]
    assert [stage.preprocessing["intensity"]["name"] for stage in stages] == ["window", "percentile", "percentile"]
    body, liver = (task.tasks[name].sampler.cases[0].target[0] for name in ("lower", "upper"))
    assert (body == 1).sum() * 125 > 1.3 * (liver == 1).sum() * 64  # the union of two organs


def test_a_cancelled_co_training_goes_on_to_the_same_weights(data, tmp_path):
    recipe, task = make_task(data, write_co_training(tmp_path))
    whole = train(task, recipe.training, tmp_path / "one", recipe.seed, CPU)
    checks = iter(range(10_000))
    with pytest.raises(Cancelled):
        stop = Progress(is_cancelled=lambda: next(checks) >= 3)
        train(task, recipe.training, tmp_path / "two", recipe.seed, CPU, stop)
    again = train(task, recipe.training, tmp_path / "two", recipe.seed, CPU)
    assert all(torch.equal(whole.weights[key], again.weights[key]) for key in whole.weights)
    assert set(whole.validation.details) == {"upper/liver", "lower/body", "third/lungs"}


def test_med3d_pretrain_writes_an_encoder_that_networks_take(data, tmp_path, capsys):
    recipe, run = write_co_training(tmp_path), tmp_path / "run"
    assert main(["pretrain", str(recipe), str(data), "-o", str(run), "--device", "cpu", "--quiet"]) == 0
    assert "upper/liver: Dice" in capsys.readouterr().out
    assert (run / "curve.png").read_bytes().startswith(b"\x89PNG")
    package = load_package(run / "tiny-0.0.1.med3d.zip")
    package.verify()
    assert package.kind == "encoder" and package.encoder == {"name": "resnet", "depth": 10, "width": 4}
    assert package.provenance["domains"]["lower"] == {
        "preprocessing": {"spacing": [5.0, 5.0, 5.0], "intensity": {"name": "percentile"}},
        "labels": ["body"],
    }
    assert len(package.provenance["training_cases"]) == 6 and len(package.metrics["third/lungs"]) == 1
    network = build_network({"encoder": package.encoder, "decoder": {"name": "lung"}, "out_channels": 1})
    network.encoder.load_state_dict(package.read_weights("encoder"))


def test_a_domain_without_cases_is_named(data, tmp_path):
    recipe = read_co_training(write_co_training(tmp_path, [*DOMAINS, {"name": "fourth", "labels": {"a": ["a"]}}]))
    with pytest.raises(DataError, match="no training case for the domain 'fourth'"):
        gather_cases(recipe, [data], Progress())


def test_a_label_that_the_data_set_does_not_have_is_named(data, tmp_path):
    wrong = {**DOMAINS[0], "labels": {"liver": ["livre"]}}
    recipe = read_co_training(write_co_training(tmp_path, [wrong]))
    with pytest.raises(
        DataError, match=r"has the label 'liver' \(in the data: livre\); its data set knows liver, lungs"
    ):
        gather_cases(recipe, [data], Progress())


def test_a_name_that_no_package_may_have_is_refused_before_the_training(tmp_path):
    path = write_co_training(tmp_path)
    values = json.loads(path.read_text())
    values["model"]["name"] = "Tiny Encoder"
    path.write_text(json.dumps(values))
    with pytest.raises(ModelError, match="name must be"):
        read_co_training(path)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"alpha": -1}, "'alpha' is -1"),
        ({"domains": []}, "wrong or missing setting"),
        ({"domains": [DOMAINS[0], DOMAINS[0]]}, "a name of its own"),
        ({"domains": [{**DOMAINS[0], "colour": 1}]}, "'colour'"),
        ({"domains": [{**DOMAINS[0], "labels": {"liver": "liver"}}]}, "labels of 'upper' must each list"),
        ({"speed": 1}, "speed"),
        ({"domains": [{**DOMAINS[0], "training": {"steps": 3}}]}, "'upper' cannot have its own 'steps'"),
        ({"settle": 2}, "'settle' is 2"),
        ({"model": {"name": "tiny"}}, "not describe the model.*'version'"),
    ],
)
def test_wrong_settings_are_named(tmp_path, values, sentence):
    with pytest.raises(SettingError, match=sentence):
        read_co_training(write_co_training(tmp_path, **values))


def test_decathlon_folders_are_found_by_name_and_patients_held_out(tmp_path):
    folder = tmp_path / "Task03_Liver"
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    listed = []
    for number in range(4):
        entry = write_case(folder, f"liver_{number}", number)
        files = {kind: f"./{kind}sTr/liver_{number}.nii.gz" for kind in ("image", "label")}
        for kind, name in files.items():
            (folder / entry[kind]).rename(folder / name)
        listed.append(files)
    labels = {"0": "background", "1": "liver", "2": "cancer"}
    description = {"name": "Liver", "modality": {"0": "CT"}, "labels": labels, "training": listed}
    (folder / "dataset.json").write_text(json.dumps(description))
    liver = next(d for d in json.loads((RECIPES / "3dseg8.json").read_text())["domains"] if d["name"] == "liver")
    recipe = read_co_training(write_co_training(tmp_path, [liver], held_out=0.25))
    for given in (tmp_path, folder):
        cases = gather_cases(recipe, [given], Progress())["liver"]
        assert [case.values for case in cases] == [{"liver": (1, 2), "cancer": 2}] * 4
        assert sorted(case.split for case in cases) == ["training"] * 3 + ["validation"]


def test_spacing_is_that_of_the_patients_axes():
    turned = Geometry((4, 5, 6), (1.0, 2.0, 3.0), direction=(0, 0, 1, 1, 0, 0, 0, -1, 0))
    assert spacing_of(turned) == (3.0, 1.0, 2.0)


@pytest.mark.parametrize("name", ["3dseg8", "phantoms8"])
def test_the_recipes_that_ship_describe_eight_domains_that_build(name):
    recipe = read_co_training(RECIPES / f"{name}.json")
    assert len(recipe.domains) == 8
    assert np.all([domain.parts for domain in recipe.domains])
    for domain in recipe.domains:
        small = {**domain.recipe.stage.network, "encoder": {**recipe.encoder, "depth": 10, "width": 2}}
        build_network(small)
