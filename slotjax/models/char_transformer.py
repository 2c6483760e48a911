"""A small causal transformer over bytes, with its layers under one scan."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

CONTEXT = 128
_HEAD = 24  # units of an attention head


class CharTransformer(nn.Module):
    """Predicts each next byte of a text from those before: attention and two dense layers, `layers` times.

    Layer norm stands before attention, before the dense layers, and before the logits (Xiong et al., 2020); positions
    are learned. All has biases.

    Attributes:
        classes: how many bytes there are.
        layers: how many layers.
        width_multiplier: scales the width of 96, in steps of one attention head of 24 units. 1 has 0.40 million
            parameters, 2.5 has 2.2 million.
        context: the longest text that it can see.
        dtype: what is computed in. Default: that of the weights.

    Implements the decoder of Vaswani et al. (2017), without an encoder.

    >>> model = slotjax.models.CharTransformer(width_multiplier=0.25, layers=2)
    >>> text = jnp.frombuffer(b"import", jnp.uint8)[None]
    >>> variables = jax.jit(model.init)(jax.random.key(0), text)
    >>> model.apply(variables, text).shape, variables["params"]["layers"]["wide"]["kernel"].shape
    ((1, 6, 256), (2, 24, 96))
    """

    classes: int = 256
    layers: int = 3
    width_multiplier: float = 1.0
    context: int = CONTEXT
    dtype: Any = None

    @nn.compact
    def __call__(
        self, text: Integer[Array, "batch length"], train: bool = False
    ) -> Float[Array, "batch length classes"]:
        """Logits of the byte that follows each; no longer than `context`."""
        heads = max(1, round(4 * self.width_multiplier))
        # As int32, because Flax looks rows up by the indices' own dtype.
        tokens = nn.Embed(self.classes, heads * _HEAD, dtype=self.dtype, name="bytes")(text.astype(jnp.int32))
        places = nn.Embed(self.context, heads * _HEAD, dtype=self.dtype, name="positions")(jnp.arange(text.shape[1]))
        scanned = nn.scan(Layer, {"params": 0}, split_rngs={"params": True}, in_axes=nn.broadcast, length=self.layers)(
            heads, self.dtype, name="layers"
        )
        hidden, _ = scanned(tokens + places[None], nn.make_causal_mask(text, dtype=bool))
        hidden = nn.LayerNorm(dtype=self.dtype, name="norm")(hidden)
        return nn.Dense(self.classes, dtype=self.dtype, name="logits")(hidden)


class Layer(nn.Module):
    """Attention and two dense layers, each added to what it is given.

    Attributes:
        heads: of attention, each of 24 units.
        dtype: what is computed in.

    >>> layer = slotjax.models.char_transformer.Layer(heads=1, dtype=None)
    >>> hidden, mask = jnp.ones((1, 2, 24)), jnp.tril(jnp.ones((1, 1, 2, 2), bool))
    >>> jax.jit(layer.init_with_output)(jax.random.key(0), hidden, mask)[0][0].shape
    (1, 2, 24)
    """

    heads: int
    dtype: Any

    @nn.compact
    def __call__(
        self, hidden: Float[Array, "batch length width"], mask: Bool[Array, "batch 1 length length"]
    ) -> tuple[Float[Array, "batch length width"], None]:
        """What comes out, as `nn.scan` wants it."""
        width = hidden.shape[-1]
        normed = nn.LayerNorm(dtype=self.dtype, name="attention_norm")(hidden)
        attention = nn.MultiHeadDotProductAttention(self.heads, dtype=self.dtype, name="attention")
        hidden = hidden + attention(normed, normed, mask=mask)
        normed = nn.LayerNorm(dtype=self.dtype, name="dense_norm")(hidden)
        wide = nn.gelu(nn.Dense(4 * width, dtype=self.dtype, name="wide")(normed))
        return hidden + nn.Dense(width, dtype=self.dtype, name="narrow")(wide), None
