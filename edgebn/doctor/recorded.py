"""The recorded networks of the self-test: small programs, what goes in, and what the NumPy specification made of it.

`tests/recorders/record_doctor.py` writes them. Values come from another machine: a NumPy that is wrong here hides nothing.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgebn.errors import ModelError
from edgebn.formats import native
from edgebn.program import Program
from edgebn.quick_dataclass import dataclass

DATA = Path(__file__).parent / "data"
NETWORKS = DATA / "networks.tar.xz"


@dataclass(frozen=True)
class Recorded:
    """One network and what it must give.

    Attributes
    ----------
    name : str
    program : Program
    inputs : ndarray, shape (N, ...)
        float32, or int8 codes.
    values : dict of str to ndarray, shape (N, H, W, C)
        Every buffer that is not constant; of a network that learns only its outputs, (N, ...).
    policy : str
        The policy by which an adapter learns from the samples; '' where none does.
    state : bytes
        What the adapter knows then.
    """

    name: str
    program: Program
    inputs: np.ndarray
    values: dict[str, np.ndarray]
    policy: str = ""
    state: bytes = b""


def read(path: Path = NETWORKS) -> Iterator[Recorded]:
    """Read them one by one, by name.

    Raises
    ------
    ModelError
        This Python was built without lzma.
    """
    files = _files(path)
    for name in sorted(file.removesuffix(".edgebn") for file in files if file.endswith(".edgebn")):
        program = native.from_bytes(files[f"{name}.edgebn"], name)
        with np.load(io.BytesIO(files[f"{name}.npz"]), allow_pickle=False) as arrays:
            values = {key.removeprefix("value:"): arrays[key] for key in arrays.files if key.startswith("value:")}
            learns = "policy" in arrays.files
            policy = str(arrays["policy"]) if learns else ""
            yield Recorded(name, program, arrays["inputs"], values, policy, arrays["state"].tobytes() if learns else b"")


def _files(path: Path) -> dict[str, bytes]:
    """Return the files of an archive, all at once: so they are pressed to half of what they take one by one."""
    try:
        with tarfile.open(path, "r:xz") as archive:
            return {entry.name: content.read() for entry in archive if (content := archive.extractfile(entry)) is not None}
    except tarfile.CompressionError as error:
        raise ModelError(f"the self-test's networks cannot be read by this Python: {error}") from None


def write(networks: list[Recorded], path: Path = NETWORKS) -> None:
    """Write them; the same networks give the same bytes."""
    with tarfile.open(path, "w:xz", preset=9) as archive:
        for network in networks:
            data = io.BytesIO()
            arrays = {f"value:{name}": value for name, value in network.values.items()}
            if network.policy:
                arrays |= {"policy": np.array(network.policy), "state": np.frombuffer(network.state, np.uint8)}
            np.savez(data, allow_pickle=False, inputs=network.inputs, **arrays)
            for suffix, content in ((".edgebn", native.to_bytes(network.program)), (".npz", data.getvalue())):
                entry = tarfile.TarInfo(network.name + suffix)  # of no particular time
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
