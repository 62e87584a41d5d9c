"""Saved states: the bytes that a file and a board's flash share (docs/state-format.md), and files of them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebn import program as p
from edgebn.adapt.policy import State
from edgebn.errors import ModelError
from edgebn.formats.native import program_hash
from edgebn.formats.whole_file import write_whole

MAGIC = b"EBNS"
VERSION = 1
HASH_BYTES = 16
HEADER = struct.Struct(f"<4sHHII{HASH_BYTES}s")  # magic, version, policy, sequence, payload bytes, model
CHECKSUM = struct.Struct("<I")


class StateError(ModelError):
    """Bytes that are no state of this model and policy."""


@dataclass(frozen=True)
class Record:
    """What the bytes of a state hold.

    Attributes
    ----------
    policy : int
        The policy's code.
    sequence : int
        Of the write, modulo 2**32: of two good slots the later one counts. 0 in files.
    model : bytes
        The first 16 bytes of the program's hash.
    payload : bytes
        The state's float32 numbers, little-endian: planes, one after the other, then scalars.
    """

    policy: int
    sequence: int
    model: bytes
    payload: bytes


def model_key(program: p.Program) -> bytes:
    """Return what binds a state to a program, tables and all: the first bytes of its hash."""
    return bytes.fromhex(program_hash(program))[:HASH_BYTES]


def to_bytes(record: Record) -> bytes:
    """Return the bytes of a record: header, payload, CRC-32 of both."""
    header = HEADER.pack(MAGIC, VERSION, record.policy, record.sequence, len(record.payload), record.model)
    body = header + record.payload
    return body + CHECKSUM.pack(zlib.crc32(body))


def from_bytes(data: bytes, where: str) -> Record:
    """Return the record in `data`; bytes behind its end are ignored, as a flash page may have some.

    Raises
    ------
    StateError
        It is none, was cut off or damaged, or is of another version. `where` names it.
    """
    if len(data) < HEADER.size or data[: len(MAGIC)] != MAGIC:
        raise StateError(f"{where}: this is no saved adaptation state")
    _, version, policy, sequence, length, model = HEADER.unpack_from(data)
    if version != VERSION:
        raise StateError(f"{where}: a state in format {version}, and this edgebn reads {VERSION}; save it again")
    end = HEADER.size + length
    if len(data) < end + CHECKSUM.size or CHECKSUM.unpack_from(data, end)[0] != zlib.crc32(data[:end]):
        raise StateError(f"{where}: the state is cut off or damaged (its checksum does not match); load an older copy, or reset")
    return Record(policy, sequence, model, data[HEADER.size : end])


def payload(state: State) -> bytes:
    """Return a state's numbers as bytes."""
    return np.concatenate([state.values.reshape(-1), state.scalars]).astype("<f4").tobytes()


def state_of(record: Record, policy: int, model: bytes, like: State, where: str) -> State:
    """Return the state in a record.

    Parameters
    ----------
    policy, model : int, bytes
        What the record must be of.
    like : State
        Whose sizes it must have.

    Raises
    ------
    StateError
        It is of another model, policy or length, or holds NaN or infinite numbers.
    """
    if record.model != model:
        raise StateError(f"{where}: the state is of another model, or of other source tables; adapt this model anew")
    if record.policy != policy:
        raise StateError(f"{where}: the state is of another policy (code {record.policy}, not {policy})")
    count = like.values.size + like.scalars.size
    if len(record.payload) != 4 * count:
        raise StateError(f"{where}: the state holds {len(record.payload) // 4} numbers, but the model and policy need {count}")
    numbers = np.frombuffer(record.payload, "<f4").astype(np.float32)
    if not np.isfinite(numbers).all():
        raise StateError(f"{where}: the state holds numbers that are not finite; reset instead")
    return State(numbers[: like.values.size].reshape(like.values.shape).copy(), numbers[like.values.size :].copy())


def save(path: Path, policy: int, program: p.Program, state: State) -> None:
    """Write a state file, whole or not at all."""
    write_whole(path, to_bytes(Record(policy, 0, model_key(program), payload(state))))


def load(path: Path, policy: int, program: p.Program, like: State) -> State:
    """Return the state in a file.

    Raises
    ------
    StateError
        See `from_bytes` and `state_of`; or the file cannot be read, or is longer than its state.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StateError(f"{path}: the file cannot be read ({error.strerror})") from None
    record = from_bytes(data, str(path))
    if len(data) != HEADER.size + len(record.payload) + CHECKSUM.size:
        raise StateError(f"{path}: the file goes on behind its state; it is damaged")
    return state_of(record, policy, model_key(program), like, str(path))
