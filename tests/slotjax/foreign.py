"""Networks that are not slotjax's, each as a function of a key that gives its parameters: what other people bring."""

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
from flax import nnx

IMAGES, TOKENS = jnp.zeros((2, 8, 8, 1)), jnp.zeros((2, 12), jnp.int32)


class Cnn(nn.Module):
    @nn.compact
    def __call__(self, images):
        hidden = nn.relu(nn.Conv(16, (3, 3))(images))
        hidden = nn.relu(nn.Conv(32, (3, 3), strides=2)(hidden))
        return nn.Dense(10)(hidden.reshape(len(images), -1))


class Block(nn.Module):
    features: int

    @nn.compact
    def __call__(self, images):
        hidden = nn.relu(nn.BatchNorm(use_running_average=True)(nn.Conv(self.features, (3, 3), use_bias=False)(images)))
        hidden = nn.Conv(self.features, (3, 3), use_bias=False)(hidden)
        hidden = nn.BatchNorm(use_running_average=True, scale_init=nn.initializers.zeros)(hidden)
        return nn.relu(hidden + nn.Conv(self.features, (1, 1), name="shortcut")(images))


class ResNet(nn.Module):
    @nn.compact
    def __call__(self, images):
        hidden = Block(32)(Block(16)(images))
        return nn.Dense(10, kernel_init=nn.initializers.zeros)(hidden.mean((1, 2)))


class Layer(nn.Module):
    @nn.compact
    def __call__(self, hidden, _):
        normed = nn.LayerNorm()(hidden)
        hidden = hidden + nn.MultiHeadDotProductAttention(4)(normed, normed)
        return hidden + nn.Dense(32)(nn.gelu(nn.Dense(64)(nn.LayerNorm()(hidden)))), None


class Transformer(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        hidden = nn.Embed(64, 32)(tokens) + self.param("positions", nn.initializers.normal(0.02), (1, 12, 32))
        layers = nn.scan(Layer, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        return nn.Dense(64)(nn.LayerNorm()(layers()(hidden, None)[0]))


class VisionTransformer(nn.Module):
    @nn.compact
    def __call__(self, images):
        patches = nn.Conv(32, (2, 2), strides=2)(images).reshape(len(images), -1, 32)
        token = self.param("cls", nn.initializers.zeros, (1, 1, 32))
        hidden = jnp.concatenate([jnp.tile(token, (len(images), 1, 1)), patches], 1)
        hidden = hidden + self.param("positions", nn.initializers.normal(0.02), (1, hidden.shape[1], 32))
        return nn.Dense(10)(Layer()(hidden, None)[0][:, 0])


class Recurrent(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        return nn.Dense(64)(nn.RNN(nn.GRUCell(48))(nn.Embed(64, 32)(tokens)))


class NnxMlp(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(64, 32, rngs=rngs)
        self.norm = nnx.BatchNorm(32, rngs=rngs)
        self.second = nnx.Linear(32, 10, rngs=rngs)


class NnxTransformer(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(64, 32, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(4, 32, decode=False, rngs=rngs)
        self.norm = nnx.LayerNorm(32, rngs=rngs)
        self.out = nnx.Linear(32, 64, rngs=rngs)


class EquinoxCnn(eqx.Module):
    layers: list

    def __init__(self, key):
        keys = jax.random.split(key, 3)
        self.layers = [
            eqx.nn.Conv2d(1, 16, 3, key=keys[0]),
            eqx.nn.LayerNorm((6, 6)),
            eqx.nn.Conv2d(16, 32, 3, key=keys[1]),
            eqx.nn.Linear(512, 10, key=keys[2]),
        ]


def _linen(module, *inputs):
    return lambda key: module.init(key, *inputs)["params"]


def _nnx(module):
    return lambda key: nnx.state(module(nnx.Rngs(key)), nnx.Param)


def _haiku(forward):
    return lambda key: hk.transform(forward).init(key, IMAGES)


def _haiku_cnn(images):
    hidden = jax.nn.relu(hk.Conv2D(16, 3)(images))
    hidden = hk.LayerNorm(-1, create_scale=True, create_offset=True)(hidden)
    return hk.Linear(10)(hk.Flatten()(hk.Conv2D(32, 3)(hidden)))


INITS = {
    "Linen MLP": _linen(nn.Sequential([nn.Dense(48), nn.relu, nn.Dense(10)]), IMAGES.reshape(2, -1)),
    "Linen CNN": _linen(Cnn(), IMAGES),
    "Linen ResNet": _linen(ResNet(), IMAGES),
    "Linen scanned transformer": _linen(Transformer(), TOKENS),
    "Linen ViT": _linen(VisionTransformer(), IMAGES),
    "Linen GRU": _linen(Recurrent(), TOKENS),
    "NNX MLP": _nnx(NnxMlp),
    "NNX transformer": _nnx(NnxTransformer),
    "Equinox MLP": lambda key: eqx.filter(eqx.nn.MLP(64, 10, 48, 2, key=key), eqx.is_array),
    "Equinox CNN": lambda key: eqx.filter(EquinoxCnn(key), eqx.is_array),
    "Haiku MLP": _haiku(lambda images: hk.nets.MLP([48, 10])(hk.Flatten()(images))),
    "Haiku CNN": _haiku(_haiku_cnn),
}
