"""Damage that fits every format: bytes, numbers and arrays."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

ABSURD = (-1, 0, 1, 2, 3, 7, 255, 65536, 2**31 - 1, 2**31, 2**40, 2**63 - 1, -(2**31), -(2**63))


def bytes_at_random(content: bytes, rng: np.random.Generator) -> bytes:
    """Truncate, flip, overwrite, repeat or drop bytes."""
    data = bytearray(content)
    kind = rng.integers(6)
    at = int(rng.integers(len(data)))
    if kind == 0:
        return bytes(data[:at])
    if kind == 1:
        for _ in range(int(rng.integers(1, 20))):
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        data[int(rng.integers(min(len(data), 512)))] ^= 1 << int(rng.integers(8))
    elif kind == 3:
        length = int(rng.integers(1, 64))
        data[at : at + length] = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
    elif kind == 4:
        data[at : at + 8] = int(rng.choice(np.array(ABSURD[:-4]))).to_bytes(8, "little", signed=True)
    else:
        length = int(rng.integers(1, 256))
        data[at:at] = data[at : at + length] if rng.integers(2) else b""
        del data[at : at + length // 2]
    return bytes(data)


def poisoned(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put NaN, infinity, a huge or a denormal number somewhere."""
    array = np.array(array)
    if array.size and np.issubdtype(array.dtype, np.floating):
        array.flat[int(rng.integers(array.size))] = rng.choice([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45])
    return array


def json_value(document: Any, rng: np.random.Generator) -> Any:
    """Change one place of a JSON document: another number, another type, a missing key, a repeated entry, deep nesting."""
    document = json.loads(json.dumps(document))
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            places.append((node, key))
            walk(value)

    walk(document)
    if not places:
        return document
    node, key = places[int(rng.integers(len(places)))]
    kind = rng.integers(7)
    old = node[key]
    if kind == 0:
        node[key] = ABSURD[int(rng.integers(len(ABSURD)))]
    elif kind == 1:
        node[key] = [None, True, 1.5, "", "relu", [], {}, [1, 2, 3], float("nan"), float("inf")][int(rng.integers(10))]
    elif kind == 2:
        del node[key]
    elif kind == 3 and isinstance(old, int):
        node[key] = old + int(rng.integers(-3, 4))
    elif kind == 4 and isinstance(node, list):
        node.append(old)
    elif kind == 5:
        for _ in range(int(rng.integers(1, 300))):
            old = [old]
        node[key] = old
    else:
        other, other_key = places[int(rng.integers(len(places)))]
        node[key] = json.loads(json.dumps(other[other_key]))
    return document
