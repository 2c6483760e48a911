"""Small tickets of every method, which `python -m tests.slotjax.tickets.made_tickets` writes as test vectors.

Vectors are never made anew unless the format changes: what was written once has to be read for ever.
"""

import hashlib
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import slotjax
from slotjax.distributions import Distribution, own_scale
from slotjax.tickets import reader
from tests.slotjax.tickets.trained_variables import trained

VECTORS = Path(__file__).parent / "vectors"
STATISTICS = {"batch_stats": {"mean": jnp.arange(3.0), "count": jnp.int32(7), "is_ready": jnp.array([True, False])}}


def params(dtype=jnp.float32, shape=(11, 7)):
    values = 0.1 * jax.random.normal(jax.random.key(3), shape)
    return {"dense": {"kernel": values.astype(dtype), "bias": jnp.arange(3, dtype=dtype)}}


def constant(kind, sigma=0.125):
    return Distribution(kind, lambda shape: sigma)


def partition():
    slots = slotjax.slot_machine(k=5, distribution=constant("normal"))
    masks = slotjax.edge_popup(0.3, options="seeded", distribution=constant("signed_constant"))
    return slotjax.partition({"first/.*": slots, "second/.*": masks, ".*": slotjax.learned()})


def parts():
    return {name: params()["dense"] for name in ("first", "second", "third")}


def explicit(**arguments):
    return slotjax.slot_machine(scores="explicit", initial="uniform", **arguments)


MADE = {
    "own-uniform-k8": lambda: (slotjax.slot_machine(k=8, distribution=own_scale("uniform")), params()),
    "own-normal-k3-bfloat16": lambda: (slotjax.slot_machine(k=3, distribution=own_scale("normal")), params("bfloat16")),
    "own-bell-k8": lambda: (slotjax.slot_machine(k=8), params()),
    "own-stratified-k12": lambda: (slotjax.slot_machine(k=12, distribution=own_scale("stratified")), params()),
    "stratified-k4096-float16": lambda: (
        slotjax.slot_machine(k=4096, distribution=constant("stratified")),
        params("float16", (13, 5)),
    ),
    "uniform-k1000-float16": lambda: (explicit(k=1000, distribution=constant("uniform", 1e-5)), params("float16")),
    "signed-k2": lambda: (slotjax.slot_machine(k=2, distribution=constant("signed_constant")), params()),
    "stored-k5": lambda: (
        explicit(k=5, options="stored", distribution=jax.nn.initializers.he_normal()),
        params(shape=(5, 3)),
    ),
    "shared-k9-float16": lambda: (explicit(k=9, share="layer", distribution=constant("normal")), params("float16")),
    "sparse-k4": lambda: (explicit(k=4, sparse=True, distribution=constant("uniform")), params()),
    "edge_popup-deflated": lambda: (
        slotjax.edge_popup(0.05, options="seeded", distribution=constant("normal")),
        params(shape=(64, 32)),
    ),
    "edge_popup-stored": lambda: (slotjax.edge_popup(0.3, distribution=constant("signed_constant")), params()),
    "supermask-rescaled": lambda: (
        slotjax.supermask(evaluation="sampled", options="seeded", rescale=True, distribution=constant("normal")),
        params(),
    ),
    "supermask-rescaled-bfloat16": lambda: (
        slotjax.supermask(evaluation="thresholded", options="seeded", rescale=True, distribution=constant("uniform")),
        params("bfloat16"),
    ),
    "biprop-normal-float16": lambda: (slotjax.biprop(0.4, options="seeded"), params("float16")),
    "biprop-uniform": lambda: (
        slotjax.biprop(0.4, options="seeded", distribution=constant("uniform")),
        params(shape=(64, 2)),
    ),
    "multicoat-k4": lambda: (
        slotjax.multicoat((0.7, 0.5, 0.1), options="seeded", distribution=constant("normal")),
        params(),
    ),
    "multicoat-stored-bfloat16": lambda: (
        slotjax.multicoat((0.6, 0.4), distribution=constant("uniform")),
        params("bfloat16", (5, 3)),
    ),
    "partly-supermask": lambda: (
        slotjax.partly_frozen(slotjax.supermask(options="seeded"), 0.4, 0.3),
        params(shape=(64, 3)),
    ),
    "partly-slots-k5": lambda: (
        slotjax.partly_frozen(slotjax.slot_machine(5, distribution=own_scale("uniform")), 0.3, 0.3),
        params("bfloat16"),
    ),
    "random": lambda: (slotjax.random_selection(constant("uniform")), params(shape=(3, 2))),
    "learned": lambda: (slotjax.learned(), params("bfloat16", (3, 2))),
    "partition": lambda: (partition(), parts()),
}


def save(name, path):
    """Writes a ticket, and returns the weights that it has to give, as JAX selects them."""
    selector, tree = MADE[name]()
    variables = trained(selector, tree)
    more = STATISTICS if name == "partition" else {}
    slotjax.save_ticket(path, selector, variables, more, metadata={"name": "é"})
    return {"params": selector.select(variables)} | more


def bits(array):
    """The bytes of an array of any dtype."""
    return np.asarray(array, order="C").tobytes()


def digests(leaves):
    return {leaf.path: hashlib.sha256(bits(leaf.values())).hexdigest() for leaf in leaves}


def main():
    stated = json.loads((VECTORS / "sha256.json").read_text())
    for name in MADE:
        path = VECTORS / f"{name}.ticket"
        save(name, path)
        stated[path.name] = digests(reader.parse(path.read_bytes())[1])
    (VECTORS / "sha256.json").write_text(json.dumps(stated, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(main())
