"""How a broker is named and reached: mqtt://user@host:1883, mqtts://host:8883; passwords and certificates come from files."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edgebn.errors import FleetError

PORTS = {"mqtt": 1883, "mqtts": 8883}
PASSWORD_VARIABLE = "EDGEBN_MQTT_PASSWORD"  # noqa: S105  # a variable's name


@dataclass(frozen=True)
class Broker:
    """An MQTT 5 broker.

    Attributes
    ----------
    host : str
    port : int
    tls : bool
    user, password : str or None
    ca, certificate, key : Path or None
        PEM files: who may have signed the broker's certificate (the system's authorities where it is left out), and this side's
        own certificate and key, where the broker asks for one.
    """

    host: str
    port: int = 1883
    tls: bool = False
    user: str | None = None
    password: str | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __str__(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"<Broker {self} as {self.user}>"  # never the password


def broker_of(
    url: str | Broker,
    *,
    password_file: Path | None = None,
    ca: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
) -> Broker:
    """Return the broker that a URL names.

    Parameters
    ----------
    url : str or Broker
        mqtt://[user[:password]@]host[:port], or mqtts:// for TLS. A Broker is returned as it is.
    password_file : Path, optional
        Its first line is the password; otherwise the URL's, or the variable EDGEBN_MQTT_PASSWORD.
    ca, certificate, key : Path, optional
        See `Broker`.

    Raises
    ------
    FleetError
        The URL is none, or a file cannot be read.
    """
    if isinstance(url, Broker):
        return url
    parts = urlsplit(url if isinstance(url, str) else "")
    try:
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        port = 0
    if parts.scheme not in PORTS or not parts.hostname or not port or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise FleetError(
            f"{_without_password(url)} is no address of a broker; give mqtt://HOST[:PORT], or mqtts://HOST[:PORT] for TLS"
        )
    tls = parts.scheme == "mqtts"
    if not tls and (ca or certificate or key):
        raise FleetError(f"{_without_password(url)} is not encrypted, so certificates do nothing; give mqtts://")
    if (certificate is None) != (key is None):
        raise FleetError("a certificate and its key are given together")
    password = unquote(parts.password) if parts.password else os.environ.get(PASSWORD_VARIABLE)
    if password_file is not None:
        try:
            password = password_file.read_text(encoding="utf-8").splitlines()[0]
        except (OSError, ValueError, IndexError):
            raise FleetError(f"{password_file}: no password can be read; its first line is to be one") from None
    for path in (ca, certificate, key):
        if path is not None and not path.is_file():
            raise FleetError(f"{path}: there is no such file")
    user = unquote(parts.username) if parts.username else None
    made = Broker(parts.hostname, port, tls, user, password if user else None)
    return replace(made, ca=ca, certificate=certificate, key=key)


def _without_password(url: object) -> str:
    text = str(url)
    before, at, after = text.rpartition("@")
    return f"{before.partition('://')[0]}://...@{after}" if at else text
