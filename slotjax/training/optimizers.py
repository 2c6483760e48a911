"""Optimizers of the papers' recipes."""

import optax


def sgd(
    learning_rate: float | optax.Schedule, momentum: float = 0.9, weight_decay: float = 0.0, nesterov: bool = False
) -> optax.GradientTransformation:
    """SGD with momentum and an L2 penalty on whatever trains, scores or weights.

    With gradient `g`, parameter `s`, momentum `mu` and penalty `lambda`: `v <- mu v + g + lambda s`
    and `s <- s - alpha v`.

    Args:
        learning_rate: alpha, or a schedule of it.
        momentum: mu, from 0 to less than 1.
        weight_decay: lambda, not negative.
        nesterov: whether to use Nesterov's momentum.

    Implements the optimizer of section 4.1 of Aladago & Torresani (2021).

    >>> optimizer = training.sgd(0.2, momentum=0.9, weight_decay=1e-4)
    >>> state = optimizer.init({"scores": jnp.ones(2)})
    """
    penalty = optax.add_decayed_weights(weight_decay) if weight_decay else optax.identity()
    return optax.chain(penalty, optax.sgd(learning_rate, momentum=momentum or None, nesterov=nesterov))


def adam(learning_rate: float | optax.Schedule, weight_decay: float = 0.0) -> optax.GradientTransformation:
    """Adam (Kingma & Ba, 2015) with an L2 penalty on whatever trains; not linear, so not for factored scores.

    Args:
        learning_rate: alpha, or a schedule of it.
        weight_decay: the penalty's factor, which enters the gradient; not negative.

    One of the baselines of section 4.1 of Ramanujan et al. (2020).

    >>> optimizer = training.adam(3e-4)
    >>> state = optimizer.init({"weights": jnp.ones(2)})
    """
    penalty = optax.add_decayed_weights(weight_decay) if weight_decay else optax.identity()
    return optax.chain(penalty, optax.adam(learning_rate))
