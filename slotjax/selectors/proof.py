"""The proof that nothing random was trained: a hash of the values of all options."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, UInt32

from slotjax.options import Drawn, Options, Seeded, Shared, Stored, checksum, limit_of
from slotjax.selectors.tree import random_values


def proof(frozen: PyTree) -> str | None:
    """SHA-256 of the method of every selected weight and of the values of all its options, in hexadecimal.

    Seeded options are drawn again, one at a time, from what the variables say of themselves, so the hash is of the
    values that the generator gives now: it differs for every change of K, distribution, scale, method, seed and
    generator, and it is the same on all devices, however arrays are sharded.

    Args:
        frozen: `variables["frozen"]` of a selector.

    Returns:
        None if nothing is frozen, as with learned weights.

    Raises:
        ValueError: for seeds that no longer say what made them.

    >>> params = {"kernel": jax.random.normal(jax.random.key(1), (30, 20))}
    >>> made = [slotjax.slot_machine(k).init(jax.random.key(0), params)["frozen"] for k in (8, 8, 9)]
    >>> hashes = list(map(slotjax.proof, made))
    >>> hashes[0] == hashes[1], hashes[0] == hashes[2]
    (True, False)
    """
    if isinstance(frozen, Mapping) and "frozen" in frozen:
        raise ValueError("frozen: all collections were given, but it must be one; give variables['frozen']")
    weights = {name: drawn for name, drawn in sorted(random_values(frozen).items()) if drawn}
    if not weights:
        return None
    digest = hashlib.sha256()
    for name, drawn in weights.items():
        made = {one: drawn.made.get(one) for one in ("method", "shape", "dtype")}
        made |= {one: drawn.made[one] for one in ("rest", "pruned", "kept") if one in drawn.made}
        digest.update(json.dumps([name, made], sort_keys=True).encode())
        digest.update(np.asarray(_words(name, drawn), "<u4").tobytes())
    return digest.hexdigest()


def _words(name: str, drawn: Drawn) -> np.ndarray:
    if "seed" in drawn and not drawn.made:
        raise ValueError(f"frozen: {name!r} no longer says what made it")
    return np.concatenate([np.asarray(words).reshape(-1, 2) for words in _checksums(drawn)])


@jax.jit
def _checksums(drawn: Drawn) -> list[UInt32[Array, "..."]]:
    """Two words of each option, and of every other frozen value."""
    options = _options(drawn)
    numbers = jnp.arange(options.k, dtype=jnp.int32)
    rest = [checksum(drawn[name]) for name in sorted({"scores", "sample", "freeze"} & set(drawn))]
    return [jax.lax.map(lambda number: checksum(options.numbered(number)), numbers), *rest]


def _options(drawn: Drawn) -> Options:
    """The options that the frozen values of a weight are, or that they draw."""
    made = drawn.made
    if "options" in drawn:
        array = drawn["options"]
        return Shared(array, ()) if array.ndim == 1 else Stored(array)
    for name in ("weight", "value"):
        if name in drawn:
            return Stored(jnp.asarray(drawn[name])[None])
    if "seed" not in drawn:
        raise ValueError(f"frozen: {sorted(drawn)} are not random values; give variables['frozen']")
    sigma: Any = limit_of(made["kind"], drawn["sigma"]) if made["scale"] == "own" else made["scale"]
    dtype = jnp.dtype(made["dtype"])
    return Seeded(drawn["seed"], made["k"], made["kind"], sigma, made["shape"], dtype, made["zero"])
