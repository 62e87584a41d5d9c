"""The canonical form: one spelling for each thing a network can mean, reached by small rules applied until none fits.

Runs on channels-last networks (`layout.py` goes first). The rules are in `simplify.py`, `patterns.py`, `gelu.py`,
`spelled_norms.py`, `channel_affine.py`, `windows.py`, `moves.py`, `merge_axes.py`, `parallel_convolutions.py`, `three_axes.py`
and `cubic.py`.
"""

from __future__ import annotations

from edgebn.errors import ModelError
from edgebn.graph import Graph
from edgebn.passes.batch_norm import channel_affine, moves
from edgebn.passes.graph import (
    cubic,
    gelu,
    merge_axes,
    parallel_convolutions,
    patterns,
    simplify,
    spelled_norms,
    three_axes,
    windows,
)
from edgebn.passes.graph.network import Network
from edgebn.passes.graph.simplify import Rule

# Activations spelled out are recognised before their constants become affines.
FIRST: tuple[Rule, ...] = (*simplify.RULES, *patterns.RULES, *gelu.RULES, *spelled_norms.RULES)
THEN: tuple[Rule, ...] = (
    *FIRST,
    *channel_affine.RULES,
    *windows.RULES,
    *moves.RULES,
    *merge_axes.RULES,
    *parallel_convolutions.RULES,
    *three_axes.RULES,
    *cubic.RULES,
)

# Every rule makes the network smaller or moves a layer towards its producer; a network this far from rest is no network.
MAX_ROUNDS = 1000


def apply_rules(graph: Graph, rules: tuple[Rule, ...], notes: dict[str, str] | None = None) -> Graph:
    """Return `graph` rewritten by `rules` until none of them fits.

    Parameters
    ----------
    graph : Graph
    rules : tuple of functions (Network, Layer) -> bool
        Each tries one layer that reads something and returns whether it changed the network.
    notes : dict of str to str, optional
        Receives, by layer name, what became of layers that were taken out.
    """
    network = Network(graph, notes)
    for _ in range(MAX_ROUNDS):
        changed = False
        for layer in (layer for layer in network.layers() if layer.inputs):
            for rule in rules:
                if network.maker.get(layer.output) is not layer:
                    break
                if rule(network, layer):
                    changed = True
                    network.prune()
        if not changed:
            return network.close()
    raise ModelError(f"{graph.source}: the network does not settle into a canonical form after {MAX_ROUNDS} rounds")


def canonical(graph: Graph, notes: dict[str, str] | None = None) -> Graph:
    """Return the canonical form of a channels-last graph: the same function of its inputs, to rounding.

    Parameters and notes as in `apply_rules`.
    """
    return apply_rules(apply_rules(graph, FIRST, notes), THEN, notes)
