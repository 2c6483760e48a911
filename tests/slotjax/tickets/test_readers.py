"""The NumPy reader and the C decoder give bitwise what JAX gives, and refuse what is damaged."""

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from slotjax.options import Codebook, Multiples, Seeded, Shared, Stored
from slotjax.options.generator import unit_option
from slotjax.selectors import named_leaves
from slotjax.tickets import reader
from slotjax.tickets.flat import flat, main
from tests.slotjax.tickets.made_tickets import MADE, VECTORS, bits, digests, save
from tests.slotjax.tickets.test_damaged_tickets import corrupted

STATED = json.loads((VECTORS / "sha256.json").read_text())
READER = reader.__file__
# A sanitizer aborts where memory is misused; its exit code is not the 1 of a refusal.
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def compiled(directory, *flags):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler here, so the decoder is not tested")
    main(["--quantiles", str(directory / "quantiles.h")])
    source, program = os.path.join(os.path.dirname(READER), "decoder.c"), directory / "decoder"  # noqa: PTH118, PTH120
    warnings = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    command = [compiler, *warnings, *flags, f"-I{directory}", "-o", program, source]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    return program if finished.returncode == 0 else pytest.fail(finished.stderr)


@pytest.fixture(scope="session")
def decoder(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("decoder"))


def in_c(decoder, leaves, directory):
    """The bytes of all arrays, as the C decoder gives them."""
    (directory / "flat").write_bytes(b"".join(flat(leaves)))
    subprocess.run([decoder, directory / "flat", directory / "weights"], check=True)
    return (directory / "weights").read_bytes()


def in_numpy(leaves):
    return b"".join(bits(leaf.values()) for leaf in leaves)


@pytest.mark.parametrize("name", sorted(set(STATED) - {"format1.ticket"}))
def test_vectors_give_the_same_weights_for_ever(name, decoder, tmp_path):
    content, leaves = reader.parse((VECTORS / name).read_bytes())
    assert digests(leaves) == STATED[name]
    assert content["metadata"] == {"name": "é"}
    assert in_c(decoder, leaves, tmp_path) == in_numpy(leaves)


@pytest.mark.parametrize("name", sorted(STATED))
def test_slotjax_loads_the_vectors(name):
    ticket = slotjax.load_ticket(VECTORS / name)
    arrays = named_leaves({"params": ticket.weights} | ticket.collections)
    assert {path: hashlib.sha256(bits(array)).hexdigest() for path, array in arrays.items()} == STATED[name]


def test_the_vectors_are_small_and_all_stated():
    files = {path.name: path.stat().st_size for path in VECTORS.iterdir()}
    assert sum(files.values()) < 28_000
    assert (
        set(files)
        == {*STATED, "sha256.json"}
        == {*(f"{name}.ticket" for name in MADE), "format1.ticket", "sha256.json"}
    )


@pytest.mark.quick("own-uniform-k8")
@pytest.mark.parametrize("name", MADE)
def test_a_new_ticket_gives_what_jax_selects(name, tmp_path):
    """Of every method: not what the vectors hold, but what the selector says today."""
    expected = named_leaves(save(name, tmp_path / "ticket"))
    leaves = reader.parse((tmp_path / "ticket").read_bytes())[1]
    assert {leaf.path: bits(leaf.values()) for leaf in leaves} == {path: bits(leaf) for path, leaf in expected.items()}


KS = (1, 2, 3, 8, 64, 256, 1000)
SHAPE = (13, 5)


def codebooks():
    """One of each number of options, kind, dtype, and place of the options."""
    random = np.random.default_rng(0)
    for k, kind, dtype, zero in itertools.product(KS, reader.STEPS, ("float32", "bfloat16", "float16"), (False, True)):
        seed, sigma = random.integers(2**32, size=2, dtype=np.uint32), float(np.float32(random.uniform(1e-6, 2)))
        has_zero, rescaled = zero and kind != "stratified", zero and kind == "normal"
        yield Codebook(Seeded(jnp.asarray(seed), k, kind, sigma, SHAPE, jnp.dtype(dtype), has_zero), rescaled)
    for k, dtype in itertools.product(KS, ("float32", "bfloat16", "float16")):
        yield Codebook(Stored(jnp.asarray(random.normal(size=(k, *SHAPE)), dtype)))
        yield Codebook(Stored(jnp.asarray(random.normal(size=(k, *SHAPE)), dtype), zero=True), rescaled=True)
        yield Codebook(Shared(jnp.asarray(random.normal(size=k), dtype), SHAPE))
    for k, dtype in itertools.product(KS[1:], ("float32", "bfloat16", "float16")):
        seed = random.integers(2**32, size=2, dtype=np.uint32)
        yield Codebook(Multiples(Seeded(jnp.asarray(seed), 2, "uniform", 0.5, SHAPE, jnp.dtype(dtype), True), k))
        yield Codebook(Multiples(Stored(jnp.asarray(random.normal(size=(1, *SHAPE)), dtype), zero=True), k))


def selector_of(books):
    """A selector with these codebooks and random indices, as far as tickets ask it."""
    random = np.random.default_rng(1)
    index = {name: jnp.asarray(random.integers(book.options.k, size=SHAPE), jnp.int32) for name, book in books.items()}
    weights = {name: book.weight_at(index[name]) for name, book in books.items()}
    weights = {name: weight.astype(_dtype(books[name])) for name, weight in weights.items()}
    return SimpleNamespace(
        settings=slotjax.learned().settings,
        **{"joint": False, "init": len, "scores": len},  # never asked
        select=lambda variables: weights,
        selection=lambda variables: index,
        codebooks=lambda variables: books,
    )


def _dtype(book):
    if isinstance(book.options, Multiples):
        return _dtype(Codebook(book.options.one))
    return book.options.dtype if isinstance(book.options, Seeded) else book.options.stored.dtype


@pytest.mark.slow
def test_jax_numpy_and_c_agree_on_all_options(decoder, tmp_path):
    selector = selector_of({f"w{place:03}": book for place, book in enumerate(codebooks())})
    # The function itself, because a check of types wants a whole selector.
    save = getattr(slotjax.save_ticket, "__wrapped__", slotjax.save_ticket)
    with pytest.warns(slotjax.tickets.LargeTicket):
        save(tmp_path / "ticket", selector, {"params": {}, "frozen": {}})
    leaves = reader.parse((tmp_path / "ticket").read_bytes())[1]
    expected = selector.select({})
    for leaf in leaves:
        name = leaf.path.removeprefix("params/")
        assert bits(leaf.values()) == bits(expected[name]), (leaf.dtype, leaf.entry)
    assert in_c(decoder, leaves, tmp_path) == in_numpy(leaves)


def test_connections_beyond_32_bits_and_tiles_agree_with_jax(decoder, tmp_path):
    seed, count = jnp.array([7, 9], jnp.uint32), reader.TILE + 3
    words = slotjax.options.connection_words(seed, (count,), offset=2**32 - 5)
    expected = slotjax.options.random_bits(words, slotjax.options.option_words(seed, jnp.uint32(3)))
    np.testing.assert_array_equal(reader.random_bits([7, 9], 2**32 - 5, np.full(count, 3, np.uint32)), expected)
    options = Seeded(seed, 2, "uniform", 0.5, (count,), jnp.dtype("float32"))
    index = np.arange(count) % 2
    entry = {"k": 2, **options.description(), "dtype": "float32", "shape": [count]}
    leaf = reader.Leaf("params/w", "float32", (count,), entry, np.packbits(index.astype(np.uint8)))
    assert bits(leaf.values()) == bits(options.at(jnp.asarray(index, jnp.int32))) == in_c(decoder, [leaf], tmp_path)


def test_the_sign_of_a_uniform_value_is_0_where_that_is_0(monkeypatch):
    bits = np.array([0, 2**12 - 1, 2**12, 2**31 - 1, 2**31, 2**32 - 1], np.uint32)
    monkeypatch.setattr(reader, "random_bits", lambda *_: bits)
    entry = {"k": 2, "seed": [1, 2], "kind": "uniform_sign", "scale": 0.5}
    leaf = reader.Leaf("params/w", "float32", bits.shape, entry, np.zeros(1, np.uint8))
    unit, step = unit_option("uniform_sign")
    np.testing.assert_array_equal(leaf.values(), unit(jnp.asarray(bits), jnp.float32) * step * 0.5)
    np.testing.assert_array_equal(leaf.values(), [0, 0, 0.5, 0.5, -0.5, -0.5])


@pytest.mark.slow
def test_double_precision_agrees(decoder, tmp_path):
    with jax.enable_x64(True):
        for kind in reader.STEPS:
            selector = slotjax.slot_machine(k=5, distribution=slotjax.distributions.Distribution(kind, lambda _: 0.1))
            variables = selector.init(jax.random.key(0), {"w": jnp.zeros((20, 9), jnp.float64)})
            slotjax.save_ticket(tmp_path / "ticket", selector, variables)
            leaves = reader.parse((tmp_path / "ticket").read_bytes())[1]
            assert bits(selector.select(variables)["w"]) == in_numpy(leaves) == in_c(decoder, leaves, tmp_path)


def test_the_reader_needs_nothing_but_numpy(tmp_path):
    for name in (READER, READER.replace("reader.py", "flat.py")):
        shutil.copy(name, tmp_path)
    watch = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path('reader.py', run_name='__main__'); "
    watch += "assert not {'jax', 'slotjax', 'safetensors', 'ml_dtypes'} & set(sys.modules)"
    arguments = ["reader.py", VECTORS / "partition.ticket", "weights.npz"]
    subprocess.run([sys.executable, "-I", "-c", watch, *arguments], cwd=tmp_path, check=True)
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as arrays:
        found = {path: hashlib.sha256(bits(array)).hexdigest() for path, array in arrays.items()}
    assert found == STATED["partition.ticket"]
    command = [sys.executable, "-I", "reader.py", "--flat", VECTORS / "partition.ticket", "partition.flat"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert (tmp_path / "partition.flat").read_bytes() == flat_of("partition")


@pytest.mark.parametrize(("arguments", "message"), [(["a", "b"], "error: "), ([], "python reader.py NETWORK.ticket")])
def test_the_reader_says_what_is_wrong_in_a_sentence(arguments, message, tmp_path):
    finished = subprocess.run(
        [sys.executable, READER, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 1
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("count", [20, pytest.param(10_000, marks=pytest.mark.fuzz)])
@pytest.mark.parametrize("name", sorted(set(STATED) - {"format1.ticket"}))
def test_the_reader_takes_no_corrupted_ticket(name, count):
    random, data = np.random.default_rng(0), (VECTORS / name).read_bytes()
    other = (VECTORS / "own-uniform-k8.ticket").read_bytes()
    for _ in range(count):
        bad = corrupted(data, other, random)
        with contextlib.suppress(ValueError):
            assert bad in (data, other) or reader.parse(bad) is None


@pytest.mark.parametrize("count", [pytest.param(10, marks=pytest.mark.slow), pytest.param(700, marks=pytest.mark.fuzz)])
def test_the_decoder_refuses_corrupted_files_or_does_no_harm(count, tmp_path):
    try:
        decoder = compiled(tmp_path, *SANITIZED)
    except pytest.fail.Exception:
        pytest.skip("the C compiler here has no address sanitizer")
    random, flats = np.random.default_rng(0), [flat_of(name) for name in sorted(MADE)]
    for data in flats:
        for _ in range(count):
            (tmp_path / "flat").write_bytes(damaged(data, random))
            command = [decoder, tmp_path / "flat", tmp_path / "weights"]
            finished = subprocess.run(command, capture_output=True, check=False)
            assert finished.returncode == 0 or (finished.returncode == 1 and finished.stderr.startswith(b"error: "))


def flat_of(name):
    return b"".join(flat(reader.parse((VECTORS / f"{name}.ticket").read_bytes())[1]))


def damaged(data, random):
    """Changed bytes, most of them in the first head, or another length."""
    changed = bytearray(data[: random.integers(len(data))] if random.integers(5) == 0 else data)
    for _ in range(random.integers(1, 4)):
        place = random.integers(min(len(changed), 90 if random.integers(4) else len(changed)) or 1)
        changed[place : place + 1] = bytes([random.choice([0, 1, 255, random.integers(256)])])
    return bytes(changed)


def one_weight():
    """A flat file of a weight with five indices of two bits, after a head of 16 and numbers of 64 bytes."""
    entry = {"k": 3, "seed": [1, 2], "kind": "uniform", "scale": 0.5}
    leaf = reader.Leaf("params/w", "float32", (5,), entry, np.array([0b00011000, 0b10_000000], np.uint8))
    return bytearray(b"".join(flat([leaf])))


@pytest.mark.parametrize(
    ("place", "byte", "message"),
    [
        (0, 0, "it is not a flat file"),
        (8, 2, "it is not a flat file of version 1"),
        (12, 2, "the file is cut off"),
        (12, 0, "it has data that nothing describes"),
        (24, 3, "the file is cut off"),
        (24, 1, "an array has another size than its shape"),
        (32, 1, "the file is cut off"),
        (40, 8, "an array is of an unknown kind"),
        (40, 3, "an array has other options than its shape needs"),
        (slice(40, 44), bytes([7, 1, 1, 1]), "an array has stratified options and one that is 0"),
        (41, 4, "an array is of an unknown dtype"),
        (41, 9, "an array is of an unknown kind"),
        (43, 3, "an array is of an unknown kind"),
        (44, 0, "an array has too many options, or none"),
        (44, 2, "an array has another size than its shape"),
        (47, 2, "an array has too many options, or none"),
        (72, 50, "an array has another size than its shape"),
        (79, 255, "an array is too large"),
        (-2, 0b00110000, "an index is beyond the options"),
        (-1, 0b10_000001, "the last byte of the indices is not filled with zeros"),
    ],
)
def test_the_decoder_says_what_does_not_fit(place, byte, message, decoder, tmp_path):
    data = one_weight()
    assert data[place] != byte
    data[place] = byte
    (tmp_path / "flat").write_bytes(data)
    command = [decoder, tmp_path / "flat", tmp_path / "weights"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr.startswith(f"error: {message}")) == (1, True), finished.stderr


def test_ties_in_half_precision_go_to_the_even_one():
    values = np.float32([1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 1 + 2**-8 + 2**-20])
    np.testing.assert_array_equal(reader._narrow(values, "bfloat16"), np.uint16([0x3F80, 0x3F82, 0xBF80, 0x3F81]))


def test_the_decoder_is_short():
    source = reader.__file__.replace("reader.py", "decoder.c")
    with open(source) as file:  # noqa: PTH123
        assert len(file.readlines()) <= 255
