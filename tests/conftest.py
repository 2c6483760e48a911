"""The strict setting that every test runs in: four CPU devices, strict promotion, checked shapes."""

import atexit
import fcntl
import gc
import os
import shutil
import sys
import tempfile

if "device" in sys.argv:  # after -m; pytest's workers have another command line, but the same environment
    os.environ["SLOTJAX_ON_DEVICE"] = "true"
if "SLOTJAX_ON_DEVICE" not in os.environ:
    # Before JAX is imported, because some tests make arrays as they are imported. Programs under test inherit it.
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ.setdefault("JAX_NUM_CPU_DEVICES", "4")

import hypothesis
import jax
import numpy as np
import pytest
from jaxtyping import install_import_hook

from tests.patterns import write_patterns
from tests.small_imagenet import prepared  # noqa: F401 (a fixture)
from tests.small_mnist import prepared_digits  # noqa: F401 (a fixture)

FEW_OPTIMIZATIONS = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
# Compiles sooner and runs longer; the XLA of JAX 0.11 has it no more, and refuses flags that it does not know.
UNFUSED = "--xla_cpu_use_fusion_emitters=false" if jax.__version_info__ < (0, 11) else ""

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    # What one process of a test run has compiled, no other compiles again: neither pytest's workers nor the programs
    # under test, which inherit the environment.
    directory = tempfile.mkdtemp(prefix="slotjax-tests-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    for name, value in {
        "jax_compilation_cache_dir": directory,
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }.items():
        os.environ[name.upper()] = str(value)
        jax.config.update(name, value)
    # A program that a test kills may leave half an entry, which JAX warns of and compiles anew.
    os.environ["PYTHONWARNINGS"] = "ignore:Error reading persistent compilation cache"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Marks those cases as slow that the mark `quick` of their test does not name; what takes longest comes first."""
    items.sort(key=lambda item: (item.path.name != "test_docs.py", item.path.parent.name != "training"))
    for item in items:
        mark = item.get_closest_marker("quick")
        if mark and item.callspec.id not in mark.args:
            item.add_marker("slow")
    named = {(item.function, case) for item in items for mark in item.iter_markers("quick") for case in mark.args}
    unknown = named - {(item.function, item.callspec.id) for item in items if hasattr(item, "callspec")}
    if unknown and not any("::" in argument for argument in config.args):
        raise pytest.UsageError(f"quick: no such cases: {sorted((test.__name__, case) for test, case in unknown)}")


def pytest_configure(config):
    """Compiles with few optimizations of machine code, for compiling takes most of the tests' time.

    Both sides of a comparison are compiled alike. With SLOTJAX_OPTIMIZED set, tests compile as users do.
    """
    if {"SLOTJAX_OPTIMIZED", "SLOTJAX_ON_DEVICE"} & os.environ.keys():
        return
    few = f"{os.environ.get('XLA_FLAGS', '')} {FEW_OPTIMIZATIONS}".strip()
    os.environ["XLA_FLAGS"] = os.environ["SLOTJAX_XLA_FLAGS"] = f"{few} {UNFUSED}".strip()
    jax.jit(lambda: 0)()  # by which this process reads the flags; programs that it starts train for longer
    os.environ["XLA_FLAGS"] = few


# No test is timed, and every run draws the same examples, so that code and not luck decides whether it passes.
# `--hypothesis-profile=search` draws others.
hypothesis.settings.register_profile(
    "slotjax", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("search", hypothesis.settings.get_profile("slotjax"), derandomize=False)
hypothesis.settings.load_profile("slotjax")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
# All packages but the Linen layers, whose inherited fields are typed by protocols that cannot be checked.
checked = (
    "analysis",
    "data",
    "distributions",
    "models",
    "options",
    "selection",
    "selectors",
    "tickets",
    "training",
)
install_import_hook([f"slotjax.{module}" for module in checked], "beartype.beartype")


@pytest.fixture(scope="module", autouse=True)
def forget(compilations):
    """Drops what JAX compiled once it is a thousand programs, a gigabyte; less is kept out of collecting garbage."""
    if len(compilations) > 1000:
        gc.unfreeze()
        jax.clear_caches()
        gc.collect()
        compilations.clear()
    gc.freeze()


@pytest.fixture(scope="session")
def compilations():
    """A list that grows by one entry at every compilation."""
    events = []

    def listen(event, duration, **_):
        if event.endswith("backend_compile_duration"):
            events.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    return events


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """A function that fills a directory which pytest's workers have in common, unless one of them has done so."""
    own = tmp_path_factory.getbasetemp()
    common = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def fill(name, make):
        directory = common / name
        with (common / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (directory / "done").exists():
                shutil.rmtree(directory, ignore_errors=True)
                directory.mkdir()
                make(directory)
                (directory / "done").touch()
        return directory

    return fill


@pytest.fixture(scope="session")
def digits(once):
    """An npz file of 800 images that can be learned: each class is one pattern with noise."""

    return once("digits", lambda directory: write_patterns(directory / "digits.npz")) / "digits.npz"


DAMAGES = {
    "empty": lambda content: b"",
    "one byte": lambda content: content[:1],
    "a tenth": lambda content: content[: len(content) // 10],
    "one block of two": lambda content: content[: len(content) // 2],
    "not a block": lambda content: content[: len(content) // 2 + 1000],
    "one byte less": lambda content: content[:-1],
    "garbage": lambda content: np.random.default_rng(0).bytes(len(content)),
    "zeros at the end": lambda content: content[: len(content) // 2] + bytes(len(content) - len(content) // 2),
}


@pytest.fixture(params=DAMAGES)
def damage(request):
    """A function that damages a file in one of several ways."""

    def apply(path):
        path.write_bytes(DAMAGES[request.param](path.read_bytes()))

    return apply
