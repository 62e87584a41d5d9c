"""Damage to PyTorch's .pt2 archives: bytes, the program's JSON, the tables of weights."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np

from tests.fuzz import damage

RECORDED = Path(__file__).resolve().parents[1] / "recorded" / "torch_zoo"
SEEDS = ("batchnorm_everywhere", "in_place", "reshapes", "splits_and_slices", "squeeze_excite", "two_outputs")
BOMB_BYTES = 1 << 26


def seeds() -> list[bytes]:
    return [(RECORDED / f"{name}.pt2").read_bytes() for name in SEEDS]


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    kind = rng.integers(8)
    if kind < 2:
        return damage.bytes_at_random(content, rng)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    documents = [name for name in members if name.endswith(".json")]
    chosen = documents[int(rng.integers(len(documents)))] if kind < 4 else "model/models/model.json"
    if kind < 7:
        document = json.loads(members[chosen])
        for _ in range(int(rng.integers(1, 4))):
            document = damage.json_value(document, rng)
        members[chosen] = json.dumps(document).encode()
    else:
        weights = [name for name in members if "weight_" in name]
        member = weights[int(rng.integers(len(weights)))]
        numbers = np.frombuffer(members[member], np.uint8)
        if rng.integers(40) == 0:
            members[member] = bytes(BOMB_BYTES)
        elif numbers.size % 4 == 0:
            members[member] = damage.poisoned(numbers.view(np.float32), rng).tobytes()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()
