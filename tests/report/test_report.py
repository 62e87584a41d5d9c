"""`edgebn report`: one page without a network, whose numbers are those of --json; a real browser renders and sorts it."""

import hashlib
import itertools
import json
import re
import shlex
import sys

import numpy as np
import pytest

import edgebn
from edgebn.cli.bench import made_up
from edgebn.cli.main import main
from edgebn.report.gather import confusion, gathered
from edgebn.report.page import page
from edgebn.report.plots import Plots
from edgebn.report.samples import changed, histograms, pictures, png
from edgebn.session.step_times import step_times
from tests import media
from tests.browser import chromium, complaints
from tests.conftest import TEST_ALL
from tests.demo_model import DATA, demo_images, demo_int8
from tests.report.pages import embedded

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


def test_every_step_is_timed(whole):
    report = embedded(whole.read_text(encoding="utf-8"))
    time, program = report["time"], demo_int8()
    assert list(time["steps"]) == [step.name for step in program.steps if step.name not in time["beside"]]
    assert all(np.isfinite(value) and value >= 0 for value in time["steps"].values())
    assert sum(time["steps"].values()) > 0
    assert time["whole"] > 0  # which step takes longest, and how near the sum comes, depends on what else the machine does
    in_layers = sum(layer.get("microseconds", 0) for layer in report["layers"])
    assert in_layers == pytest.approx(sum(time["steps"].values()))


def test_steps_that_go_with_others_have_no_time_of_their_own():
    from benchmarks.models.mobilenet import mobilenet_v2
    from edgebn.session import strip_pairs

    program = mobilenet_v2(size=96)
    pairs = list(strip_pairs.found(program))
    found = step_times(program, made_up(program), seconds=0)
    assert found.rounds == 5
    assert found.beside.keys() <= {program.steps[pair.first].name for pair in pairs}
    assert not found.beside.keys() & found.steps.keys()
    assert all(value >= 0 for value in found.steps.values())


def test_histograms_count_every_value(whole):
    report = embedded(whole.read_text(encoding="utf-8"))
    images, program = demo_images()[0][:100], demo_int8()
    codes = edgebn.Session(program).run_buffers(images)
    real = edgebn.Session(edgebn.load(DATA / "fashion_mnist.keras")).run_buffers(images)
    rows = {row["layer"]: row for row in report["histograms"]}
    for step in program.steps:
        row, buffer = rows[step.name], program.buffers[step.output]
        if buffer.dtype != "int8":
            continue
        assert sum(row["codes"]) == codes[step.output].size
        inside = row["codes"][8:-8]
        np.testing.assert_array_equal(inside, np.histogram(codes[step.output], 64, (-128.5, 127.5))[0])
        assert sum(row["codes"]) == sum(inside)
        if step.output in real:
            assert sum(row["values"]) + row["below"] + row["above"] == real[step.output].size
            values = real[step.output] * program.channel_factors.get(step.output, np.float32(1))
            assert row["above"] == np.count_nonzero(values > row["high"])


def test_histograms_of_a_float_network_are_of_values():
    program = media.looker()
    rows = histograms(
        None, program, (None, edgebn.Session(program).run_buffers), np.random.default_rng(0).random((3, 8, 8, 3), np.float32)
    )
    assert all(row["codes"] is None and sum(row["values"]) + row["below"] + row["above"] for row in rows)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_what_pillow_reads(channels):
    import io

    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype(np.uint8)
    read = np.asarray(image.open(io.BytesIO(png(pixels))))
    np.testing.assert_array_equal(read.reshape(pixels.shape), pixels)


def test_only_what_looks_like_a_picture_is_shown_as_one():
    assert pictures(np.zeros((4, 10), np.float32), [1]) == {}
    assert pictures(np.zeros((4, 8, 8, 16), np.float32), [1]) == {}
    assert set(pictures(np.zeros((4, 200, 100, 3), np.float32), [1, 3])) == {1, 3}


def test_changed_samples_have_pictures(whole):
    text = whole.read_text(encoding="utf-8")
    assert text.count("<img ") == len(embedded(text)["changed"])


def test_how_it_was_made(whole, folder):
    made = embedded(whole.read_text(encoding="utf-8"))["made"]
    model = next(one for one in made["files"] if one["role"] == "model")
    assert model["sha256"] == hashlib.sha256((folder / "int8.edgebn").read_bytes()).hexdigest()
    assert made["command"].startswith("edgebn report ")
    assert shlex.split(made["command"])[2] == str(folder / "int8.edgebn")
    assert made["version of numpy"] == np.__version__


@pytest.fixture(scope="module")
def adapting(tmp_path_factory):
    """The page about an adapting network on dim images, and the model and data."""
    place = tmp_path_factory.mktemp("adapting")
    images, labels = demo_images()
    edgebn.save(edgebn.adaptable(demo_int8(), images[:200]), place / "a.edgebn")
    np.savez(place / "dim.npz", x=images[600:800] * np.float32(0.35), y=labels[600:800])
    arguments = ["--data", str(place / "dim.npz"), "--key", "x", "--labels", "y"]
    assert main(["report", str(place / "a.edgebn"), "-o", str(place / "a.html"), *arguments]) == 0
    return place


def test_adaptation_is_what_the_adapter_did(adapting):
    (found,) = embedded((adapting / "a.html").read_text(encoding="utf-8"))["adaptation"]
    none, tracked = found["policies"]
    data = np.load(adapting / "dim.npz")
    session = edgebn.Session(edgebn.load(adapting / "a.edgebn"))
    wrong = session.run(data["x"]).argmax(axis=1) != data["y"]
    assert none["error"] == pytest.approx(100 * wrong.mean())
    adapter = edgebn.Adapter(session)
    wrong = np.array([adapter.run(x[None]).argmax() for x in data["x"]]) != data["y"]
    assert tracked["error"] == pytest.approx(100 * wrong.mean())
    report = adapter.report()
    assert tracked["learned_from"] == report.accepted
    assert tracked["refused"] == report.refused
    assert {name: values[-1] for name, values in tracked["gate"].items()} == pytest.approx(
        {one.name: one.gate for one in report.layers}
    )
    assert {name: values[-1] for name, values in tracked["drift"].items()} == pytest.approx(
        {one.name: float(np.hypot(one.drift, one.spread)) for one in report.layers}
    )


def test_other_verbs_write_pages_too(folder, adapting, capsys):
    pytest.importorskip("h5py")
    data = str(DATA / "fashion_mnist_slice.npz")
    calibrated = [
        "-o",
        str(folder / "q.edgebn"),
        "--calibration",
        data,
        "--key",
        "calibration",
        "--scale",
        "1/255",
        "--limit",
        "40",
    ]
    stream = [str(adapting / "dim.npz"), "--key", "x", "--labels", "y", "--order", "iid", "--limit", "60", "--policy", "moments"]
    commands = {
        "quantize": [str(DATA / "fashion_mnist.keras"), *calibrated],
        "adapt": [str(adapting / "a.edgebn"), *stream],
        "bench": [str(folder / "int8.edgebn"), "--runs", "3"],
        "analyze": [str(folder / "int8.edgebn")],
    }
    for verb, arguments in commands.items():
        place = folder / f"{verb}.html"
        capsys.readouterr()
        assert main([verb, *arguments, "--report", str(place), "--json"]) == 0
        printed, report = json.loads(capsys.readouterr().out), embedded(place.read_text(encoding="utf-8"))
        if verb == "quantize":
            assert report["quantisation"] == printed["layers"]
            assert report["histograms"]
            assert report["changed"] is not None
        elif verb == "adapt":
            assert [one["error"] for one in report["adaptation"][0]["policies"]] == [one["error"] for one in printed["results"]]
        elif verb == "bench":
            assert report["bench"] == printed
            assert report["time"]["steps"]
        else:
            assert report["totals"]["macs"] == printed["macs"]


def test_without_matplotlib_the_numbers_stay(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["analyze", str(folder / "int8.edgebn"), "--report", str(folder / "plain.html")]) == 0
    assert "pip install 'edgebn[plots]'" in capsys.readouterr().err
    text = (folder / "plain.html").read_text(encoding="utf-8")
    assert "pip install" in text
    assert re.findall("<svg [^>]*", text) == re.findall('<svg class="graph"[^>]*', text)  # the graph of steps needs no library


def test_needs_no_network(whole):
    text = whole.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=\"(?!data:|#)|https?:|url\((?!#)|@import", text)


def test_names_are_escaped():
    from dataclasses import replace

    program = replace(media.looker(), name="</script><b onclick=x>&", source="<i>")
    text = page(gathered(program), Plots())
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

    text = page(gathered(mobilenet_v2(size=96)), Plots())
    assert len(text.encode()) < LIMIT


def test_a_browser_renders_sorts_and_folds_it(whole, tmp_path):
    with chromium(tmp_path) as driver:
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys

        driver.get(whole.as_uri())
        assert complaints(driver) == []
        macs = driver.find_elements(By.CSS_SELECTOR, "#layers thead button")[3]
        macs.send_keys(Keys.ENTER)  # by keyboard
        assert macs.find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
        shown = [int(cell.get_attribute("data-value")) for cell in driver.find_elements(By.CSS_SELECTOR, "#layers td:nth-child(4)")]
        assert shown == sorted(shown)
        macs.click()
        shown = [int(cell.get_attribute("data-value")) for cell in driver.find_elements(By.CSS_SELECTOR, "#layers td:nth-child(4)")]
        assert shown == sorted(shown, reverse=True) != sorted(shown)
        layers = driver.find_element(By.ID, "layers")
        assert layers.is_displayed()
        driver.find_elements(By.TAG_NAME, "summary")[1].click()
        assert not layers.is_displayed()
        assert driver.execute_script("return document.querySelectorAll('svg[role=img] path').length") > 3
        assert complaints(driver) == []


# What a screen reader and a keyboard need, as counts of what lacks it.
LACKING = """
const lacking = {};
const count = (name, selector, lacks) => { lacking[name] = [...document.querySelectorAll(selector)].filter(lacks).length; };
count("caption", "table", one => !one.caption || !one.caption.textContent.trim());
count("scope", "th", one => !["col", "row"].includes(one.scope));
const named = one => (one.getAttribute("aria-labelledby") || "").split(" ").every(id => document.getElementById(id)?.textContent);
count("role of a plot", "svg", one => one.getAttribute("role") !== "img");
count("text of a plot", "svg", one => !one.getAttribute("aria-label") && !named(one));
count("text of a picture", "img", one => !one.alt || !one.complete || !one.naturalWidth);
count("region to scroll", ".wide:not([role=region][tabindex='0'][aria-label])", one => true);
count("heading", "details", one => !one.querySelector("summary h2").textContent.trim());
count("place of a link", "a", one => !document.getElementById(one.hash.slice(1)));
const ids = [...document.querySelectorAll("[id]")].map(one => one.id);
lacking["id of its own"] = ids.length - new Set(ids).size;
lacking["width"] = Math.max(0, document.documentElement.scrollWidth - innerWidth);
return lacking;
"""
CONTRAST = """
const light = text => {
  const linear = x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map(x => linear(x / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const probe = document.createElement("i");
probe.style.color = "Canvas";
document.body.append(probe);
const back = light(getComputedStyle(probe).color);
const style = name => getComputedStyle(document.querySelector(name));
const found = ["caption", "td", "a", "figcaption", "svg text"].map(name => light(style(name).color));
const drawn = light(style("svg text").fill);
return [...found, drawn].map(x => (Math.max(x, back) + 0.05) / (Math.min(x, back) + 0.05));
"""


def test_everybody_can_read_it(adapting, whole, tmp_path):
    """Screen readers, keyboards, light and dark (contrast of 4.5, as WCAG asks for), paper."""
    with chromium(tmp_path) as driver:
        for place in (whole, adapting / "a.html"):
            for scheme in ("light", "dark"):
                features = [{"name": "prefers-color-scheme", "value": scheme}]
                driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
                driver.get(place.as_uri())
                lacking = driver.execute_script(LACKING)
                assert not any(lacking.values()), lacking
                assert min(driver.execute_script(CONTRAST)) >= 4.5
            driver.execute_script("document.querySelector('details').open = false; dispatchEvent(new Event('beforeprint'))")
            assert driver.execute_script("return document.querySelectorAll('details:not([open])').length") == 0
            driver.execute_script("dispatchEvent(new Event('afterprint'))")
            assert driver.execute_script("return document.querySelectorAll('details:not([open])').length") == 1
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
