"""TLS: the broker's certificate is checked, client certificates and passwords let in, and nothing is said to a stranger."""

import shutil
import subprocess
from dataclasses import replace

import pytest

import edgebn
from edgebn.fleet import Agent
from edgebn.fleet.broker import broker_of
from tests import brokers
from tests.brokers import Client, Mosquitto, until
from tests.fleet.fleets import address, fleet


def openssl(*arguments, folder):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A folder with an authority of the test's own, what it signed for the broker and a device, and another authority."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "other"):
        openssl(
            "req",
            "-x509",
            *curve,
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.pem",
            "-subj",
            f"/CN={name}",
            "-days",
            "2",
            folder=folder,
        )
    for name, extension in (("broker", "subjectAltName=IP:127.0.0.1"), ("device", "subjectAltName=DNS:device")):
        (folder / f"{name}.ext").write_text(extension)
        openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}", folder=folder)
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext")
        openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.pem", folder=folder)
    for path in folder.iterdir():
        path.chmod(0o600)
    return folder


@pytest.fixture
def secured(authority, tmp_path):
    """A broker that speaks TLS on one port to those with a certificate and a password, and plainly to the test on another."""
    if brokers.PROGRAM is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("mosquitto_passwd is not installed")
    passwords = tmp_path / "passwords"
    passwords.write_text("camera:secret\n")
    passwords.chmod(0o600)
    subprocess.run([tool, "-U", passwords], check=True, capture_output=True)
    files = (f"cafile {authority / 'ca.pem'}", f"certfile {authority / 'broker.pem'}", f"keyfile {authority / 'broker.key'}")

    def make():
        port = brokers.free_port()
        lines = ("allow_anonymous true", f"listener {port} 127.0.0.1", "allow_anonymous false", f"password_file {passwords}")
        running = Mosquitto(tmp_path, ("per_listener_settings true", *lines, *files, "require_certificate true"))
        running.secured_port = port
        text = running.config.read_text().splitlines()
        text.remove("per_listener_settings true")  # it stands before the first listener
        running.config.write_text("\n".join(["per_listener_settings true", *text]) + "\n")
        return running

    running = brokers.started(make)
    yield running, running.secured_port
    running.kill()


# Where a handshake fails, paho leaves its socket to the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_device_with_its_certificate_and_password(authority, secured):
    running, port = secured
    mine = {"certificate": authority / "device.pem", "key": authority / "device.key"}
    right = replace(broker_of(f"mqtts://camera@127.0.0.1:{port}", ca=authority / "ca.pem", **mine), password="secret")
    client = Client(running.port, "edgebn/v1/#")
    adapter = edgebn.Adapter(edgebn.Session(fleet().program))
    with Agent(adapter, right, "hall", "camera") as one:
        until(lambda: one.status()["online"])
        one.publish()
        until(lambda: address("camera").topic("state") in client.topics)
    wrong = {
        "certificate verify failed": replace(right, ca=authority / "other.pem"),
        "not authorized": replace(right, password="guessed"),
    }
    for words, at in wrong.items():
        with Agent(adapter, at, "hall", "stranger") as one:
            until(lambda one=one, words=words: words in one.status()["problem"].lower())
            assert not one.status()["online"]
            one.publish()
    with Agent(adapter, replace(right, certificate=None, key=None), "hall", "stranger") as one:
        until(lambda: "perhaps it asks for a certificate" in one.status()["problem"])
        assert not one.status()["online"]
    assert address("stranger").topic("state") not in client.topics
    client.close()
