"""What a selector is, and what to write for a method of your own.

A selector chooses the weights of a network, over any parameter pytree. A method says how, one weight at a time:

    import dataclasses
    from typing import ClassVar

    import jax.numpy as jnp
    from jax.lax import stop_gradient

    import slotjax
    from slotjax.options import Codebook, Source, at_least_float32, dtype_of, own_options
    from slotjax.selectors import default_where, make_selector

    @dataclasses.dataclass(frozen=True)
    class OneOfTwo:
        source: Source
        name: ClassVar[str] = "one_of_two"

        def init(self, key, leaf):  # what trains, what is frozen
            return jnp.zeros(leaf.shape, at_least_float32(dtype_of(leaf))), self.source.init(key, leaf)

        def choose(self, weight, key):  # which of the two, per connection
            return (weight.trainable >= 0).astype(jnp.int32)

        def value(self, weight, key):  # exactly that one; dL/ds = dL/dW (W_1 - W_0)
            options, score = self.codebook(weight).options, weight.trainable
            slope = (options.numbered(1) - options.numbered(0)).astype(score.dtype)
            chosen = options.at(self.choose(weight, key))
            return chosen + (slope * (score - stop_gradient(score))).astype(chosen.dtype)

        def scores(self, weight):
            return weight.trainable

        def codebook(self, weight):
            # `like` has the shape of the weight, as this score has; of K scores it is weight.trainable[0].
            return Codebook(self.source.options(weight.frozen, like=weight.trainable))

    def one_of_two(options="seeded", distribution=None, where=None):
        source = own_options(options, 2, distribution)  # by default at each weight's own scale
        return make_selector(OneOfTwo(source), where or default_where(distribution))

That is all: it works in layers, in `partition`, in training, in tickets and in `slotjax.analysis`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray, PyTree

from slotjax.distributions import Distribution
from slotjax.options import Codebook, Drawn, varies_about_zero

Where = Callable[[str, Any], bool]
Variables = dict[str, PyTree]
Frozen = Mapping[str, Any]


@runtime_checkable
class Selector(Protocol):
    """One way of choosing the weights of a network, as pure functions.

    Attributes:
        settings: what the selector was made with; its `name` is that of the method.
        joint: whether leaves are drawn or chosen together, so that they cannot be taken one at a time.
    """

    @property
    def settings(self) -> Any:
        """What the selector was made with."""

    @property
    def joint(self) -> bool:
        """Whether leaves are drawn or chosen together."""

    def init(self, key: PRNGKeyArray, params: PyTree) -> Variables:
        """Draws the frozen random values and the initial scores.

        Args:
            key: the same key and names give the same random values in any tree.
            params: the weights of a model, or just their shapes (`jax.ShapeDtypeStruct`) if a distribution is named.

        Returns:
            `{"params": trainable, "frozen": fixed}`. Both mirror the tree of `params`; a leaf that is not selected
            stays in `"params"`, copied. Arrays are sharded as their weight is.
        """

    def select(self, variables: Variables, key: PRNGKeyArray | None = None) -> PyTree:
        """The weights, a pytree shaped like `params`, for the unmodified model.

        A key samples, in training, where the selection is probabilistic; without one it is deterministic, as at
        evaluation.
        """

    def selection(self, variables: Variables, key: PRNGKeyArray | None = None) -> PyTree:
        """What `select` chooses.

        Per connection the index of the option, `int32`, or for a mask whether it is kept, and `None` for leaves that
        are not selected.
        """

    def scores(self, variables: Variables) -> PyTree:
        """The scores of every selected leaf, however they are held, and `None` for leaves without.

        `(K, *weight.shape)` for a slot machine, `weight.shape` for a mask.
        """

    def codebooks(self, variables: Variables) -> dict[str, Codebook]:
        """What the indices of each selected leaf stand for, by its name."""


class Weight(NamedTuple):
    """One selected weight: what trains of it, and its frozen random values."""

    trainable: Any
    frozen: Drawn


@runtime_checkable
class Method(Protocol):
    """How one weight is chosen: what a new method must provide; see the example at the top of this module.

    A method is a value: a frozen dataclass of its arguments, with `name: ClassVar[str]`. Tickets hold that name, which
    must never change, and those arguments that JSON can hold.
    """

    @property
    def name(self) -> str:
        """What tickets call the method."""

    def init(self, key: PRNGKeyArray, leaf: Any) -> tuple[Any, Frozen]:
        """What trains and what is frozen of a weight, given as values or as a shape.

        Scores are in its dtype, or in float32 for half precision. The key is the weight's own; it may go both to
        `source.init` and to `initial_scores`, which are independent. Fold a number into it for anything else. Weights
        of one shape share one traced function, so values must not decide what is done.
        """

    def choose(self, weight: Weight, key: PRNGKeyArray | None) -> Any:
        """The index of each connection, `int32`, or its mask, `bool`; the key, if any, is the weight's own."""

    def value(self, weight: Weight, key: PRNGKeyArray | None) -> Any:
        """The selected weight, with the straight-through gradient for what trains.

        It must be bitwise what the codebook has for `choose`, because tickets hold no more. The gradient is free: it
        should be how the weight changes as a score grows.
        """

    def scores(self, weight: Weight) -> Any:
        """What is compared, as `slotjax.analysis` and figures show it; None if nothing is."""

    def codebook(self, weight: Weight) -> Codebook | None:
        """What the indices stand for, or None if the method has no indices.

        A ticket is small if the options come from a seed; options that were computed are `Stored`, K per connection.
        """


@runtime_checkable
class JointMethod(Protocol):
    """How all weights of a network are chosen together; they come by name, keys as the user gave them.

    Its functions are those of `Method`, over dictionaries.
    """

    def init(self, key: PRNGKeyArray, leaves: dict[str, Any]) -> dict[str, tuple[Any, Frozen]]:
        """What trains and what is frozen of every leaf."""

    def choose(self, weights: dict[str, Weight], key: PRNGKeyArray | None) -> dict[str, Any]:
        """The indices or masks of all weights."""

    def value(self, weights: dict[str, Weight], key: PRNGKeyArray | None) -> dict[str, Any]:
        """All selected weights."""

    def scores(self, weights: dict[str, Weight]) -> dict[str, Any]:
        """The scores of all weights."""

    def codebooks(self, weights: dict[str, Weight]) -> dict[str, Codebook | None]:
        """What the indices of every weight stand for, or None."""


def matrices_and_kernels(name: str, leaf: Any) -> bool:
    """Two or more floating-point dimensions, and not called `bias`, `b` or `scale`: the default with a distribution.

    >>> slotjax.selectors.matrices_and_kernels("Dense_0/kernel", jnp.zeros((3, 4)))
    True
    >>> slotjax.selectors.matrices_and_kernels("BatchNorm_0/scale", jnp.zeros(4))
    False
    """
    last, shape = name.rsplit("/", 1)[-1], getattr(leaf, "shape", ())
    if len(shape) < 2 or 0 in shape or last in ("bias", "b", "scale"):
        return False
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def drawn_about_zero(name: str, leaf: Any) -> bool:
    """Those of `matrices_and_kernels` whose values vary about zero: the default at the weights' own scale.

    A gain of ones, or a matrix that starts at zero, is left to be trained as it is.

    Raises:
        ValueError: if the values are not known, as for shapes and under `jax.jit`.

    >>> slotjax.selectors.drawn_about_zero("LayerNorm_0/weight", jnp.ones((3, 4)))
    False
    """
    if not matrices_and_kernels(name, leaf):
        return False
    if isinstance(leaf, jax.core.Tracer | jax.ShapeDtypeStruct):
        raise ValueError(
            f"params: the values of {name!r} are not known here, but by default they decide whether it is selected and "
            "at which scale; call `init` on the weights outside of jax.jit, or give where= (under jax.jit or "
            "nnx.jit), or distribution= (for shapes)"
        )
    with jax.ensure_compile_time_eval():  # a constant under jax.jit has values too
        return bool(varies_about_zero(leaf))


def default_where(distribution: Any) -> Where:
    """The rule of a selector for which weights are selected, unless the user gives one.

    Args:
        distribution: what its random values are drawn from; None is the weights' own scale.

    >>> slotjax.selectors.default_where(None).__name__
    'drawn_about_zero'
    """
    own = distribution is None or (isinstance(distribution, Distribution) and distribution.is_own)
    return drawn_about_zero if own else matrices_and_kernels
