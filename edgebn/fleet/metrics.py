"""A fleet as Prometheus text, served on the loopback interface: https://prometheus.io/docs/instrumenting/exposition_formats/."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from edgebn.errors import FleetError
from edgebn.fleet.topics import Address
from edgebn.fleet.watching import DRIFT, ENERGY, GATE, SPREAD, Watch

LOOPBACK = "127.0.0.1"
CONTENT = "text/plain; version=0.0.4; charset=utf-8"


def text(watch: Watch) -> str:
    """Return everything that is watched as Prometheus text."""
    lines: list[str] = []

    def family(name: str, kind: str, explained: str, samples: list[tuple[dict[str, str], float]]) -> None:
        lines.append(f"# HELP {name} {explained}")
        lines.append(f"# TYPE {name} {kind}")
        for labels, value in samples:
            inner = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
            lines.append(f"{name}{{{inner}}} {value:.9g}" if inner else f"{name} {value:.9g}")

    devices, groups = watch.devices(), watch.groups()
    family("edgebn_fleet_up", "gauge", "Whether the broker is there.", [({}, float(watch.connection.is_up))])
    family("edgebn_fleet_messages_total", "counter", "Messages heard.", [({}, float(watch.messages))])
    family(
        "edgebn_fleet_refused_total",
        "counter",
        "Messages refused, by why.",
        [({"why": why}, float(count)) for why, count in sorted(watch.refused.items())],
    )
    heard = [one for one in devices if one.envelope is not None]
    family(
        "edgebn_device_online",
        "gauge",
        "Whether a device is there.",
        [(_labels(one.address), float(bool(one.online))) for one in devices],
    )
    family("edgebn_device_seen_total", "counter", "Inferences run.", [(_labels(one.address), float(one.seen)) for one in devices])
    family(
        "edgebn_device_trips_total",
        "counter",
        "Returns of the watchdog to the factory state.",
        [(_labels(one.address), float(one.trips)) for one in devices],
    )
    family(
        "edgebn_device_left_out",
        "gauge",
        "Whether a device disagrees with its group.",
        [(_labels(one.address), float(bool(one.left_out))) for one in devices],
    )
    family(
        "edgebn_device_state_timestamp_seconds",
        "gauge",
        "When the newest state was made, by the device's clock.",
        [(_labels(one.address), one.envelope.time / 1000) for one in heard if one.envelope is not None],
    )
    for column, name, explained in (
        (DRIFT, "drift", "Root mean square drift of a layer's means, in source sigmas."),
        (SPREAD, "spread", "Root mean square logarithm of a layer's variance ratio."),
        (ENERGY, "energy", "Evidence of drift of a layer."),
        (GATE, "gate", "How far the drift of a layer is followed."),
    ):
        rows = []
        for one in heard:
            assert one.envelope is not None
            numbers = one.envelope.drift[:, column].tolist()
            names = watch.layers if len(watch.layers) == len(numbers) else tuple(map(str, range(len(numbers))))
            rows += [({**_labels(one.address), "layer": layer}, value) for layer, value in zip(names, numbers, strict=True)]
        family(f"edgebn_layer_{name}", "gauge", explained, rows)
    named = [({"model": one.model, "group": one.group}, report, prior) for one, report, prior in groups]
    family(
        "edgebn_group_used",
        "gauge",
        "Devices that a prior is made of.",
        [(at, float(len(report.get("used", [])))) for at, report, _ in named],
    )
    family(
        "edgebn_group_left_out",
        "gauge",
        "Devices that disagree with their group.",
        [(at, float(len(report.get("left_out", {})))) for at, report, _ in named],
    )
    family(
        "edgebn_group_prior", "gauge", "Whether a group has a prior.", [(at, float(prior is not None)) for at, _, prior in named]
    )
    return "\n".join(lines) + "\n"


@contextmanager
def serving(watch: Watch, port: int) -> Iterator[int]:
    """Serve /metrics on the loopback interface; yield the port.

    Raises
    ------
    FleetError
        The port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        """Answers with the text as it is now."""

        def do_GET(self) -> None:
            """Answer one request."""
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404, "the metrics are at /metrics")
                return
            body = text(watch).encode()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    try:
        server = ThreadingHTTPServer((LOOPBACK, port), Handler)
    except OSError as error:
        raise FleetError(
            f"port {port} on {LOOPBACK} cannot be served: {(error.strerror or 'taken').lower()}; give another"
        ) from None
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _labels(address: Address) -> dict[str, str]:
    return {"model": address.model, "group": address.group, "device": address.device}


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
