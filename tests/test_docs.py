"""What the documentation shows works: doctests, the README's snippets and commands, and a light import."""

import doctest
import importlib
import importlib.util
import pkgutil
import re
import shlex
import subprocess
import sys
import typing
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags

import experiments
import slotjax
from experiments import benchmark, bits, evaluate, export, report, reproduce, search
from experiments.flags import parse
from experiments.flags.topics import TOPICS
from slotjax import models, training

ROOT = Path(__file__).parent.parent
NAMES = ("README.md", "slotjax/README.md", "experiments/README.md", "experiments/tutorials/README.md")
PAGES = {name: (ROOT / name).read_text() for name in NAMES}
TEXT = "\n".join(PAGES.values())
MODULES = sorted(
    module.name
    for package in (slotjax, experiments)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    # PyTorch is no requirement: without it, the benchmark leaves its rows out.
    if module.name != "experiments.speed.torch_baseline" or importlib.util.find_spec("torch")
)


def snippets(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", MODULES)
def test_every_example_in_a_docstring(name):
    names = {"jax": jax, "jnp": jnp, "np": np, "slotjax": slotjax, "training": training}
    outcome = doctest.testmod(importlib.import_module(name), extraglobs=names)
    assert outcome.failed == 0


@pytest.mark.parametrize(
    "package",
    [
        slotjax,
        slotjax.analysis,
        slotjax.data,
        slotjax.models,
        slotjax.options,
        slotjax.selection,
        slotjax.selectors,
        slotjax.tickets,
        training,
    ],
)
def test_every_public_function_has_an_example(package):
    for name in package.__all__:
        item = getattr(package, name)
        names_a_type = typing.get_origin(item) or (isinstance(item, type) and item.__doc__ is None)
        if names_a_type or getattr(item, "_is_protocol", False):
            continue
        if callable(item) and not (isinstance(item, type) and issubclass(item, tuple)):
            assert ">>>" in (item.__doc__ or ""), name


def test_the_readme_snippets_run_in_order(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        for snippet in snippets("python"):
            exec(snippet, names)
    shown = next(text for text in snippets("text") if text.startswith("accuracy ")).splitlines()
    accuracy, *table = capsys.readouterr().out.splitlines()[: len(shown)]
    assert float(accuracy.removeprefix("accuracy ")) > 0.9
    assert table == shown[1:]
    assert names["logits"].shape == (1, 10)
    assert np.any(names["logits"] != names["sampled"])
    assert names["predictions"].shape == (256, 2)
    plain, network = names["plain"], names["network"]
    plain.eval(), network.eval()  # by statistics that are not those of a new network
    np.testing.assert_array_equal(plain(names["x"]), network(names["x"]))
    assert np.any(plain.layers[1].mean[...] != 0)


def test_the_readme_commands_have_valid_flags():
    commands = re.findall(r'python -m experiments\.train[^`"\n]*', TEXT)
    assert len(commands) >= 6
    for command in commands:
        values = flags.FlagValues()
        parse.define_flags(values)
        arguments = shlex.split(re.sub("=[KS]\\b", "=2", command.rstrip("\\ ")))[3:]
        arguments = [argument for argument in arguments if argument.startswith("--") and argument != "--help"]
        values(["train", *arguments])
        assert parse.from_flags(values)[0].model in models.MODELS


@pytest.mark.parametrize("program", [benchmark, bits, evaluate, export, report, reproduce, search])
def test_the_readme_commands_of_other_programs_have_valid_flags(program):
    name = program.__name__.removeprefix("experiments.")
    commands = re.findall(rf"python -m experiments\.{name}[^`\n]*", TEXT)
    assert commands
    for command in commands:
        values = flags.FlagValues()
        program.define_flags(values)
        values(shlex.split(command)[2:])


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_only_what_exists(page):
    for path in re.findall(r"(?:slotjax|experiments)/[\w/]+\.(?:py|png|c|md)", PAGES[page]):
        assert (ROOT / path).exists(), path
    for link in re.findall(r"\]\((?!http)([^)]+)\)", PAGES[page]):
        path, _, part = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        titles = re.findall(r"^#+ (.+)$", target.read_text() if part else "", re.MULTILINE)
        assert not part or part in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, link


def test_the_page_of_the_programs_has_all_flags_by_topic():
    rows = (f"| {topic} | {', '.join(f'`--{name}`' for name in names)} |" for topic, names in TOPICS.items())
    assert "\n".join(rows) in PAGES["experiments/README.md"]


def test_the_citation_and_the_changelog_are_of_this_version():
    assert f"\nversion: {slotjax.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    first = re.search(r"^## (\d\S*) \(\d{4}-\d\d-\d\d\)$", (ROOT / "slotjax/CHANGELOG.md").read_text(), re.MULTILINE)
    assert first[1] == slotjax.__version__


def test_the_front_page_is_short():
    assert len(PAGES["README.md"].splitlines()) <= 180


def test_importing_the_library_is_light():
    heavy = (
        "tensorflow",
        "tensorflow_datasets",
        "grain",
        "array_record",
        "matplotlib",
        "orbax",
        "pandas",
        "mlxtend",
        "PIL",
    )
    code = f"import slotjax, sys; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_importing_the_experiments_defines_no_flag():
    for name in MODULES:
        importlib.import_module(name)
    assert "learning_rate" not in flags.FLAGS
