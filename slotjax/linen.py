"""Linen layers whose kernel is selected: drop-in for `nn.Dense` and `nn.Conv`."""

from typing import Any

import flax.linen as nn
import jax
from flax.core.scope import LazyRng
from jaxtyping import Array, Float, PRNGKeyArray

from slotjax.selectors import Selector, nest, slot_machine, unnest


class Dense(nn.Dense):
    r"""`nn.Dense` with a selected kernel: $y = x W + b$, where $W_{ij}$ is one of K frozen random options.

    It takes every argument of `nn.Dense`, and `selector`. The collection `params` holds the scores in place of the
    kernel, and `frozen` the options. With an rng stream `"select"` the selection samples; without one it is
    deterministic. The layer has the same random values as `selector.init` on the whole model with the same key, unless
    `nn.scan` or `nn.vmap` splits the key; these need `"frozen"` beside `"params"` in `variable_axes`. Called twice in
    one forward pass, a layer samples once, because a connection has one draw per forward pass.

    Attributes:
        selector: how the kernel is chosen. Default: `slotjax.slot_machine()`. A kernel that its `where` leaves out,
            and always the bias, are ordinary parameters. A selected kernel is drawn from the selector's own
            distribution, so `kernel_init` cannot be given for it.

    Raises:
        ValueError: if `kernel_init` is given for a kernel that the selector draws, if the collection `frozen` is
            missing, and for a selector that draws or ranks all weights of a network together.

    See section 3.2 of Aladago & Torresani (2021).

    >>> layer = slotjax.Dense(300, use_bias=False, selector=slotjax.slot_machine(k=2))
    >>> x = jnp.ones((1, 784))
    >>> variables = layer.init(jax.random.key(0), x)
    >>> variables["params"]["kernel"].shape, layer.apply(variables, x).shape
    ((2, 784, 300), (1, 300))
    """

    selector: Selector = slot_machine()

    def param(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Declares a parameter, or selects it if it is the kernel."""
        return _select(self, name, *args, **kwargs) if name == "kernel" else super().param(name, *args, **kwargs)


class Conv(nn.Conv):
    r"""`nn.Conv` with a selected kernel: $y = x * W + b$, where each entry of $W$ is one of K frozen random options.

    It takes every argument of `nn.Conv`, and `selector`; collections, rng streams and errors are those of
    `slotjax.Dense`.

    Attributes:
        selector: how the kernel is chosen. Default: `slotjax.slot_machine()`.

    >>> layer = slotjax.Conv(64, (3, 3), use_bias=False)
    >>> x = jnp.ones((1, 32, 32, 3))
    >>> variables = layer.init(jax.random.key(0), x)
    >>> variables["params"]["kernel"].shape, layer.apply(variables, x).shape
    ((8, 3, 3, 3, 64), (1, 32, 32, 64))
    """

    selector: Selector = slot_machine()

    def param(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Declares a parameter, or selects it if it is the kernel."""
        return _select(self, name, *args, **kwargs) if name == "kernel" else super().param(name, *args, **kwargs)


def _select(module: Dense | Conv, name: str, initializer: Any, *shape_and_dtype: Any) -> Float[Array, "*shape"]:
    """The weight `name` of `module`, through the same selector as a whole pytree, on a tree of this one leaf."""
    path = (*module.path, name)
    if module.selector.joint:
        raise ValueError(
            f"selector: that of {'/'.join(path)} draws or ranks all weights of a network together, which a layer alone "
            "cannot; use the selector on the whole pytree of parameters"
        )

    def initialize(key, default_key):
        leaf = initializer(default_key, *shape_and_dtype)
        return module.selector.init(default_key if key is None else key, nest(path, leaf))

    abstract = jax.eval_shape(lambda: initialize(None, jax.random.key(0)))
    if not jax.tree.leaves(abstract["frozen"]):
        drawn = lambda default_key: unnest(path, initialize(_root_key(module, "params"), default_key)["params"])  # noqa: E731
        return nn.Module.param(module, name, drawn)
    keeps_its_value = "value" in unnest(path, abstract["frozen"])
    if not keeps_its_value and initializer not in (nn.Dense.kernel_init, nn.Conv.kernel_init):
        raise ValueError(f"kernel_init: {'/'.join(path)} is drawn by its selector; give slot_machine(distribution=...)")
    if module.has_variable("params", name) and not module.has_variable("frozen", name):
        raise ValueError(f"frozen: the collection with the random values of {'/'.join(path)} is missing")
    initial: dict[str, Any] = {}

    def initial_scores(default_key):
        variables = initialize(_root_key(module, "params"), default_key)
        if not module.has_variable("params", name):
            initial.update(variables)
        return unnest(path, variables["params"])

    scores = nn.Module.param(module, name, initial_scores)
    frozen = module.variable("frozen", name, lambda: unnest(path, initial["frozen"])).value
    variables = {"params": nest(path, scores), "frozen": nest(path, frozen)}
    return unnest(path, module.selector.select(variables, _root_key(module, "select")))


def _root_key(module: nn.Module, stream: str) -> PRNGKeyArray | None:
    """The key that the user gave for an rng stream: Flax folds paths into it in its own way, selectors in theirs."""
    if module.scope is None or not module.has_rng(stream):
        return None
    return LazyRng.create(module.scope.rngs[stream]).rng
