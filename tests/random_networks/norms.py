"""Drawers of norms by the sample's own statistics."""

from __future__ import annotations

from collections.abc import Callable

from tests.random_networks.drawing import Drawing


def trailing(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of LayerNormalization or RMSNormalization over the last axes."""

    def draw(net: Drawing, x: str) -> str:
        shape = net.shape(x)
        net.need(len(shape) > 1)
        first = net.size(1, len(shape) - 1)
        net.need(all(isinstance(length, int) for length in shape[first:]))
        parts = [net.constant(net.uniform(0.5, 1.5, *shape[first:]), "scale")]
        if op == "LayerNormalization" and net.chance(0.7):
            parts.append(net.constant(net.normal(*shape[first:]), "bias"))
        axis = first - len(shape) if net.chance(0.5) else first
        return net.node(op, x, *parts, axis=axis, epsilon=net.pick((0.1, 0.01)))

    return draw


def by_channels(op: str) -> Callable[[Drawing, str], str]:
    """Return the drawer of InstanceNormalization or GroupNormalization."""

    def draw(net: Drawing, x: str) -> str:
        sample = net.sample(x)
        net.need(len(sample) in (2, 3) and sample[0] > 0)
        channels = sample[0]
        parts = [net.constant(net.uniform(0.5, 1.5, channels), "scale"), net.constant(net.normal(channels), "bias")]
        groups = {}
        if op == "GroupNormalization":
            groups["num_groups"] = net.pick([count for count in range(1, channels + 1) if channels % count == 0])
        return net.node(op, x, *parts, epsilon=net.pick((0.1, 0.01)), **groups)

    return draw


def local_response(net: Drawing, x: str) -> str:
    """LRN over any number of neighbouring channels."""
    net.need(len(net.sample(x)) in (2, 3))
    settings = {"alpha": net.pick((0.3, 0.1)), "beta": net.pick((0.75, 0.5, 1.0)), "bias": net.pick((1.0, 2.0))}
    return net.node("LRN", x, size=net.size(1, net.sample(x)[0] + 1), **settings)


def unit_norm(net: Drawing, x: str) -> str:
    """LpNormalization along one axis."""
    rank = len(net.shape(x))
    net.need(rank > 1)
    axis = net.size(1, rank - 1)
    return net.node("LpNormalization", x, axis=axis - rank if net.chance(0.4) else axis, p=net.pick((1, 2)))
