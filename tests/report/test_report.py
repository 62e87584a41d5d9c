"""`edgebn report`: one page without a network, whose numbers are those of --json; a real browser renders and sorts it."""

import itertools
import json
import re

import numpy as np
import pytest

import edgebn
from edgebn.cli.main import main
from edgebn.report.gather import changed, confusion, gathered
from edgebn.report.page import page
from tests import media
from tests.browser import chromium, complaints
from tests.conftest import TEST_ALL
from tests.demo_model import DATA, demo_images, demo_int8

LIMIT = 3 << 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("report")
    edgebn.save(demo_int8(), place / "int8.edgebn")
    return place


@pytest.fixture(scope="module")
def whole(folder):
    """The page about the demo's network, with data, labels and the original."""
    pytest.importorskip("h5py")
    data = (str(DATA / "fashion_mnist_slice.npz"), "--key", "images", "--scale", "1/255", "--limit", "100")
    arguments = ["--data", *data, "--labels", "labels", "--compare", str(DATA / "fashion_mnist.keras")]
    assert main(["report", str(folder / "int8.edgebn"), "-o", str(folder / "whole.html"), *arguments]) == 0
    return folder / "whole.html"


def embedded(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_numbers_are_those_of_json(folder, capsys):
    capsys.readouterr()
    assert main(["report", str(folder / "int8.edgebn"), "-o", str(folder / "a.html"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    text = (folder / "a.html").read_text(encoding="utf-8")
    assert embedded(text) == printed
    analysis = edgebn.analyze(demo_int8())
    assert printed["totals"]["macs"] == analysis.macs
    assert f'data-value="{max(row.macs for row in analysis.rows)}"' in text


def test_with_data(whole):
    report = embedded(whole.read_text(encoding="utf-8"))
    assert report["confusion"]["samples"] == 100
    assert np.sum(report["confusion"]["matrix"]) == 100
    assert np.trace(report["confusion"]["matrix"]) == report["confusion"]["correct"] > 80
    original = edgebn.load(DATA / "fashion_mnist.keras")
    table = edgebn.error_table(original, demo_int8(), demo_images()[0][:100])
    assert [row["layer"] for row in report["quantisation"]] == [row.layer for row in table]
    assert [row["sqnr"] for row in report["quantisation"]] == pytest.approx([row.sqnr for row in table], rel=1e-3)


def test_needs_no_network(whole):
    text = whole.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=\"(?!data:)|https?:|url\(|@import", text)


def test_names_are_escaped():
    from dataclasses import replace

    program = replace(media.looker(), name="</script><b onclick=x>&", source="<i>")
    text = page(gathered(program))
    assert "<b onclick" not in text
    assert "<i>" not in text
    assert embedded(text)["model"]["name"] == program.name


def test_the_arena_is_the_planner_s():
    found = gathered(demo_int8())["arena"]
    for index in range(len(found["needed"])):
        standing = sorted((one["offset"], one["bytes"]) for one in found["buffers"] if one["first"] <= index <= one["last"])
        for (offset, size), (after, _) in itertools.pairwise(standing):
            assert offset + size <= after
        assert all(offset + size <= found["bytes"] for offset, size in standing)
    assert max(found["needed"]) <= found["lower_bound"] <= found["bytes"]


def test_confusion_counts_what_is_no_class_as_wrong():
    found = confusion(np.array([0, 1, -1, 1]), np.array([0, 1, 1, 0]), ("no", "yes"))
    assert found["matrix"] == [[1, 1], [0, 1]]
    assert (found["correct"], found["samples"]) == (2, 4)


def test_changed_answers_are_told():
    found = changed(np.array([0, 1, 2]), np.array([0, 2, -1]), np.array([0, 1, 1]), ("no", "yes"))
    assert found == [
        {"sample": 1, "true": "yes", "before": "yes", "after": "2"},
        {"sample": 2, "true": "yes", "before": "2", "after": "none"},
    ]


def test_changed_answers_are_those_of_the_two_models(whole):
    report = embedded(whole.read_text(encoding="utf-8"))
    images = demo_images()[0][:100]
    original = edgebn.load(DATA / "fashion_mnist.keras")
    answers = [edgebn.Session(model).run(images).argmax(axis=1) for model in (original, demo_int8())]
    assert [row["sample"] for row in report["changed"]] == np.flatnonzero(answers[0] != answers[1]).tolist()


def test_a_board_has_its_layers(folder, capsys, monkeypatch):
    from edgebn.cli import on_board

    layers = [{"step": 0, "name": "<first>", "instructions": 1234}]
    monkeypatch.setattr(on_board, "cost_of", lambda *_: {"not_counted": "it is a test", "layers": layers})
    arguments = ["report", str(folder / "int8.edgebn"), "-o", str(folder / "few.html"), "--board", "mps2-an386", "--json"]
    capsys.readouterr()
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["board"]["layers"] == layers
    text = (folder / "few.html").read_text(encoding="utf-8")
    assert "no instructions counted: it is a test." in text
    assert 'data-value="1234"' in text
    assert "<first>" not in text


@pytest.mark.skipif(not TEST_ALL, reason="counts in an emulator, twice: with EDGEBN_TEST_ALL=1")
def test_a_board_costs_what_analyze_says(folder, capsys):
    capsys.readouterr()
    assert main(["report", str(folder / "int8.edgebn"), "-o", str(folder / "board.html"), "--board", "mps2-an386", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["board"]
    assert main(["analyze", str(folder / "int8.edgebn"), "--board", "mps2-an386", "--json"]) == 0
    analysis = json.loads(capsys.readouterr().out)
    for name in ("board", "flash_bytes", "flash_left", "ram_bytes", "ram_left", "code_bytes", "stack_bytes"):
        assert told.get(name) == analysis.get(name)
    if "instructions" in told:  # an emulator may be off by a few
        assert abs(told["instructions"] - analysis["instructions"]) < 100
        assert told["cycles"] == pytest.approx(analysis["cycles"], rel=1e-3)
    text = (folder / "board.html").read_text(encoding="utf-8")
    assert told["said"][0].split(";")[0] in text
    for layer in told.get("layers", ()):  # none where no compiler or emulator is
        assert f'data-value="{layer["instructions"]}"' in text


def test_what_does_nothing_is_refused(folder, capsys):
    assert main(["report", str(folder / "int8.edgebn"), "-o", str(folder / "b.html"), "--labels", "x"]) == 2
    assert "give --data too" in capsys.readouterr().err
    assert not (folder / "b.html").exists()


def test_a_large_network_stays_small(tmp_path):
    from benchmarks.models.mobilenet import mobilenet_v2

    text = page(gathered(mobilenet_v2(size=96)))
    assert len(text.encode()) < LIMIT


def test_a_browser_renders_sorts_and_folds_it(whole, tmp_path):
    with chromium(tmp_path) as driver:
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys

        driver.get(whole.as_uri())
        assert complaints(driver) == []
        macs = driver.find_elements(By.CSS_SELECTOR, "#layers thead button")[4]
        macs.send_keys(Keys.ENTER)  # by keyboard
        shown = [int(cell.get_attribute("data-value")) for cell in driver.find_elements(By.CSS_SELECTOR, "#layers td:nth-child(5)")]
        assert shown == sorted(shown)
        macs.click()
        shown = [int(cell.get_attribute("data-value")) for cell in driver.find_elements(By.CSS_SELECTOR, "#layers td:nth-child(5)")]
        assert shown == sorted(shown, reverse=True) != sorted(shown)
        layers = driver.find_element(By.ID, "layers")
        assert layers.is_displayed()
        driver.find_elements(By.TAG_NAME, "summary")[1].click()
        assert not layers.is_displayed()
        assert driver.execute_script("return document.querySelectorAll('svg[role=img] rect').length") > 3
        assert complaints(driver) == []


def test_whole_numbers_have_bytes():
    """A network with an int32 buffer, as an argmax gives: its analysis once ended in a KeyError."""
    from edgebn import program as p

    buffers = {name: p.Buffer(name, (1, 2, 3), "int32") for name in ("x", "y")}
    shapes = {"x": (2, 3), "y": (2, 3)}
    program = p.Program("whole", "whole", "test", False, buffers, {}, (p.Reshape("r", ("x",), "y"),), ("x",), ("y",), shapes)
    assert gathered(program)["arena"]["bytes"] == 32


def test_files_of_others_open_clean(shared_zoo, tmp_path):
    """All of them under EDGEBN_TEST_ALL=1."""
    files = sorted(file for file in shared_zoo.iterdir() if file.suffix in {".tflite", ".onnx", ".h5"})
    sides = {"mtcnn_pnet": "48,48,3", "ppocr_cls": "3,48,192", "ppocr_det_v4": "3,96,96"}  # files that leave theirs open
    with chromium(tmp_path) as driver:
        for file in files if TEST_ALL else files[:1]:
            page_file = tmp_path / f"{file.stem}.html"
            shape = ["--input-shape", sides[file.stem]] if file.stem in sides else []
            assert main(["report", str(file), "-o", str(page_file), *shape]) == 0, file.name
            assert page_file.stat().st_size < LIMIT
            driver.get(page_file.as_uri())
            assert complaints(driver) == [], file.name
            assert driver.execute_script("return document.querySelectorAll('#steps tbody tr').length") > 0, file.name
