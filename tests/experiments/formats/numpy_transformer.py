"""The transformer on text in NumPy, of a state dict in PyTorch's layouts."""

import numpy as np

HEAD = 24


def logits(state, text):
    """Of bytes, `(batch, length)`, as PyTorch's modules compute them: `(batch, length, 256)`."""
    hidden = state["bytes.weight"][text] + state["positions.weight"][: text.shape[1]]
    layers = {name.split(".")[1] for name in state if name.startswith("layers.")}
    for number in range(len(layers)):
        hidden = _layer(state, f"layers.{number}", hidden)
    return _linear(state, "logits", _norm(state, "norm", hidden))


def _layer(state, name, hidden):
    normed = _norm(state, f"{name}.attention_norm", hidden)
    hidden = hidden + _attention(state, f"{name}.attention", normed)
    wide = _linear(state, f"{name}.wide", _norm(state, f"{name}.dense_norm", hidden))
    gelu = wide / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3)))
    return hidden + _linear(state, f"{name}.narrow", gelu)


def _attention(state, name, hidden):
    batch, length, width = hidden.shape
    query, key, value = (
        _linear(state, f"{name}.{one}", hidden).reshape(batch, length, -1, HEAD).transpose(0, 2, 1, 3)
        for one in ("query", "key", "value")
    )
    scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(HEAD)
    scores = np.where(np.tril(np.ones((length, length), bool)), scores, -np.inf)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    heads = shares / shares.sum(-1, keepdims=True) @ value
    return _linear(state, f"{name}.out", heads.transpose(0, 2, 1, 3).reshape(batch, length, width))


def _linear(state, name, features):
    return features @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def _norm(state, name, features):
    centred = features - features.mean(-1, keepdims=True)
    scaled = centred / np.sqrt(centred.var(-1, keepdims=True) + 1e-6)
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]
