"""Keys of a fleet: one master file where states are merged, and for each device a file with what it signs and checks with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edgebn.errors import FleetError
from edgebn.fleet.envelope import key_of
from edgebn.fleet.topics import PRIOR

KEY_BYTES = 32


@dataclass(frozen=True)
class DeviceKeys:
    """What one device holds.

    Attributes
    ----------
    own : bytes
        It signs its states with.
    prior : bytes
        The fleet's priors are signed with: all devices can check them.
    """

    own: bytes
    prior: bytes


def device_keys(master: bytes, device: str) -> DeviceKeys:
    """Return a device's keys; neither leads back to the master key, nor to another device's."""
    return DeviceKeys(key_of(master, device), key_of(master, PRIOR))


def write_master(path: Path) -> None:
    """Write a new master key, readable by its owner only.

    Raises
    ------
    FleetError
        The file exists: a fleet whose key is lost must be given new ones, device by device.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise FleetError(f"{path} exists already; keep it, or name another file") from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(os.urandom(KEY_BYTES).hex() + "\n")


def write_device(path: Path, keys: DeviceKeys) -> None:
    """Write a device's keys, readable by their owner only."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(f"{keys.own.hex()}\n{keys.prior.hex()}\n")


def read_master(path: Path) -> bytes:
    """Read a master key.

    Raises
    ------
    FleetError
        The file holds none.
    """
    return _read(path, 1)[0]


def read_device(path: Path) -> DeviceKeys:
    """Read a device's keys.

    Raises
    ------
    FleetError
        The file holds none.
    """
    return DeviceKeys(*_read(path, 2))


def _read(path: Path, count: int) -> list[bytes]:
    try:
        lines = path.read_text(encoding="ascii").split()
        keys = [bytes.fromhex(line) for line in lines]
    except (OSError, ValueError):
        keys = []
    if len(keys) != count or any(len(key) != KEY_BYTES for key in keys):
        what = "a fleet's key" if count == 1 else "a device's two keys"
        raise FleetError(f"{path}: the file does not hold {what}; make one with `edgebn fleet key`")
    return keys
