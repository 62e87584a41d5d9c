"""The page of `edgebn live --serve`: who is let in, nonsense, and what a real browser shows of it."""

import http.client
import json
import random
import socket
import urllib.error
import urllib.request

import pytest

import edgebn
from edgebn.cli.live import address
from edgebn.errors import ModelError
from edgebn.live.chain import Chain
from edgebn.live.drawing import as_jpeg
from edgebn.live.page import Server, allowed, application, is_loopback
from edgebn.live.view import state_of
from tests import media
from tests.browser import chromium, complaints
from tests.conftest import TEST_ALL
from tests.live.test_live import Made

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("PIL")

TOKEN = "a-token"
STATE = {"line": "left 0.99"}


@pytest.fixture(scope="module")
def guarded():
    with Server(application(lambda: STATE, lambda: b"jpeg", "a <title>", TOKEN), "127.0.0.1", 0) as server:
        yield server


@pytest.fixture(scope="module")
def local():
    with Server(application(lambda: STATE, lambda: b"", "a <title>", ""), "127.0.0.1", 0) as server:
        yield server


def ask(server, path="/", **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


@pytest.mark.parametrize("path", ["/", "/state", "/picture"])
def test_nothing_without_the_token(guarded, path):
    assert ask(guarded, path)[0] == 403
    assert ask(guarded, f"{path}?token=wrong")[0] == 403
    assert ask(guarded, f"{path}?token=")[0] == 403
    assert ask(guarded, path, Authorization="Bearer a-toke")[0] == 403
    assert ask(guarded, path, Authorization="Bearer \xe4")[0] == 403
    assert ask(guarded, path, Authorization=f"Bearer {TOKEN}")[0] == 200
    assert ask(guarded, f"{path}?token={TOKEN}")[0] == 200
    assert ask(guarded, f"{path}?token={TOKEN}", Host="elsewhere.example")[0] == 200


def test_on_this_machine_other_names_are_refused(local):
    assert ask(local)[0] == 200
    assert ask(local, Host="localhost:80")[0] == 200
    assert ask(local, Host="elsewhere.example")[0] == 403
    assert ask(local, Host="127.0.0.1.elsewhere.example")[0] == 403
    assert ask(local, "/picture")[0] == 204
    assert json.loads(ask(local, "/state")[1]) == STATE


def test_nothing_comes_from_elsewhere(local):
    _, page, headers = ask(local)
    assert b"http" not in page
    assert b"a &lt;title&gt;" in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.9.9.9", True), ("0.0.0.0", False), ("10.0.0.1", False)],
)
def test_what_this_machine_is(host, expected):
    assert is_loopback(host) is expected
    assert allowed(f"[{host}]:80" if ":" in host else host, "", "") is expected


def test_addresses():
    assert address("127.0.0.1") == ("127.0.0.1", 8017)
    assert address("0.0.0.0:80") == ("0.0.0.0", 80)
    assert address("[::1]:80") == ("::1", 80)
    assert address("[::1]") == ("::1", 8017)


def test_a_port_that_is_taken(local):
    with pytest.raises(ModelError, match="cannot be listened on"):
        Server(application(lambda: STATE, lambda: b"", "", ""), "127.0.0.1", local.port).__enter__()


def test_nonsense_is_survived(guarded):
    """10,000 requests under EDGEBN_TEST_ALL=1."""
    random_ = random.Random(0)
    words = [
        *(b"GET", b"POST", b"/", b"/state", b"/picture?token=", b"HTTP/1.1", b"\r\n", b"Host:", b"\0", b"\xff\xfe", b"%"),
        *(b"Content-Length: 99999999999", b"Transfer-Encoding: chunked", b"../../etc/passwd", b"A" * 5000),
    ]
    for number in range(10_000 if TEST_ALL else 300):
        data = b" ".join(random_.choices(words, k=random_.randrange(1, 12)))
        with socket.create_connection(("127.0.0.1", guarded.port), timeout=120) as line:
            line.sendall(data + (b"\r\n\r\n" if number % 2 else b""))
            if number % 2:
                assert b" 200 " not in line.recv(200)[:20]
    for method in ("POST", "PUT", "DELETE", "TRACE"):
        connection = http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=120)
        connection.request(method, "/state", body=b"x" * 1000)
        assert connection.getresponse().status in {403, 405}
        connection.close()
    assert ask(guarded, f"/state?token={TOKEN}")[0] == 200


def test_a_browser_shows_it(tmp_path):
    pictures = [media.picture(number) for number in range(20)]
    source = Made(pictures, count=1 << 40)
    pipeline = edgebn.Pipeline(media.looker())
    with Chain(pipeline, source, draw=as_jpeg) as chain:
        app = application(lambda: state_of(chain, "looker"), lambda: chain.picture, "edgebn live: looker", TOKEN)
        with Server(app, "127.0.0.1", 0) as server, chromium(tmp_path) as driver:
            from selenium.webdriver.common.by import By
            from selenium.webdriver.support.ui import WebDriverWait

            driver.get(f"http://127.0.0.1:{server.port}/?token={TOKEN}")
            assert driver.title == "edgebn live: looker"
            wait = WebDriverWait(driver, 30)
            wait.until(lambda d: d.find_element(By.ID, "answer").text.split(" ")[0] in media.NAMES)
            wait.until(lambda d: d.execute_script("return document.getElementById('picture').naturalWidth") == 64)
            first = driver.find_element(By.ID, "facts").text
            assert "answered" in first
            assert "infer" in first
            wait.until(lambda d: d.find_element(By.ID, "facts").text != first)
            assert complaints(driver) == []
