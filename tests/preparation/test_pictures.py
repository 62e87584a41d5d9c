"""Pictures of any size: OpenCV's and Pillow's own bytes, straight to codes, in every colour and fit; names behind the network."""

import json

import numpy as np
import pytest

import edgebn
from edgebn import program as p
from edgebn.cli.main import main
from edgebn.errors import ModelError
from edgebn.preparation import pictures
from edgebn.preparation.answers import class_answers
from edgebn.preparation.check import FITS, RESIZES
from edgebn.preparation.data import Picture
from edgebn.preparation.pictures import coloured, pictured
from edgebn.preparation.pixel_numbers import lookup
from edgebn.preparation.resizing import boxes, resized, taps

NAMES = ("smaller", "larger", "same", "tall")
CODES = p.Buffer("x", (24, 32, 3), "int8", 1 / 128, 3)


@pytest.fixture(scope="module")
def known(recorded):
    with np.load(recorded / "pictures.npz") as archive:
        return dict(archive)


@pytest.mark.parametrize("method", ["bilinear", "antialias", "nearest"])
@pytest.mark.parametrize("name", NAMES)
def test_sizes_change_to_the_byte_of_opencv_and_pillow(name, method, known):
    expected = known[f"{name}/{method}"]
    np.testing.assert_array_equal(resized(known[f"{name}/x"], expected.shape[:2], method), expected)


@pytest.mark.parametrize("name", ["smaller", "same"])
def test_area_is_within_one_of_opencv(name, known):
    expected = known[f"{name}/area"].astype(int)
    found = resized(known[f"{name}/x"], expected.shape[:2], "area")
    assert np.abs(found - expected).max() <= 1


def test_middles_between_two_pixels_go_pillows_way(known):
    ties = [name for name in known if name.startswith("ties/")]
    assert ties
    for name in ties:
        _, length, wanted = name.split("/")
        np.testing.assert_array_equal(taps("nearest", int(length), int(wanted)).first[:, 0], known[name])


def test_grey_is_pillows(known):
    np.testing.assert_array_equal(coloured(known["smaller/x"], Picture("grey"))[..., 0], known["smaller/grey"])


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("colours", ["rgb", "bgr", "grey"])
@pytest.mark.parametrize("resize", RESIZES)
def test_the_kernels_are_the_specification(resize, colours, dtype, known, monkeypatch):
    channels = 1 if colours == "grey" else 3
    buffer = p.Buffer("x", (24, 32, channels), dtype, 1 / 128, 3)
    for fit in FITS:
        for scale, offset in (((1 / 128,), (-1.0234375,)), ((0.01, 0.02, 0.5)[:channels], (-1.0, 0.0, 1.0)[:channels])):
            picture = Picture(colours, resize, fit, 114, scale, offset)
            for name in NAMES:
                fast = pictured(known[f"{name}/x"], picture, buffer)
                with monkeypatch.context() as patch:
                    patch.setattr(pictures, "find_spec", lambda _: None)
                    slow = pictured(known[f"{name}/x"], picture, buffer)
                assert fast.dtype == dtype
                np.testing.assert_array_equal(fast, slow)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 2), (2, 3), (5, 40), (40, 5)])
@pytest.mark.parametrize("resize", ["bilinear", "nearest"])
def test_the_smallest_pictures_read_nothing_beyond_their_edge(resize, size):
    picture = Picture("bgr", resize, scale=(1.0,))
    pixels = np.random.default_rng(size[0]).integers(0, 256, (*size, 3)).astype(np.uint8)
    for wanted in ((1, 1), (1, 17), (16, 3), (33, 35)):
        buffer = p.Buffer("x", (*wanted, 3), "int8", 1.0, -128)
        expected = pictures.specified(pixels[..., ::-1], resize, lookup(picture, buffer), wanted)
        np.testing.assert_array_equal(pictured(pixels, picture, buffer), expected)


def test_codes_are_the_quantised_pixels(known):
    picture = Picture(scale=(0.01, 0.02, 0.03), offset=(-1.0, 0.5, 0.0))
    pixels = known["smaller/bilinear"]
    real = pixels.astype(np.float32) * np.float32(picture.scale) + np.float32(picture.offset)
    expected = np.clip(np.rint(real / np.float32(CODES.scale)) + CODES.zero_point, -128, 127)
    np.testing.assert_array_equal(pictured(known["smaller/x"], picture, CODES), expected)


def test_where_a_picture_goes():
    assert boxes(Picture(fit="stretch"), (480, 640), (224, 224)).target == (0, 0, 224, 224)
    assert boxes(Picture(fit="crop"), (480, 640), (224, 224)).source == (0, 80, 480, 480)
    assert boxes(Picture(fit="crop"), (100, 50), (10, 20)).source == (37, 0, 25, 50)
    assert boxes(Picture(fit="letterbox"), (480, 640), (320, 320)).target == (40, 0, 240, 320)
    framed = pictured(np.full((10, 20, 3), 200, np.uint8), Picture(fit="letterbox", border=7, scale=(1 / 128,)), CODES)
    values = np.unique(framed[:4]), np.unique(framed[4:20]), np.unique(framed[20:])
    assert [part.tolist() for part in values] == [[10], [127], [10]]


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros(4, np.uint8)]
)
def test_other_pixels_are_refused(pixels):
    with pytest.raises(ModelError, match="a picture is uint8"):
        pictured(pixels, Picture(), CODES)


def classifier(dtype="int8", outputs=4):
    """Return a network whose scores are the means of the picture's channels and borders."""
    shape = (8, 8, 3)
    size = 8 * 8 * 3
    buffers = {"x": p.Buffer("x", shape, dtype, 1 / 64, 0), "y": p.Buffer("y", (1, 1, size), dtype, 1 / 64, 0)}
    steps = (p.Reshape("flatten", ("x",), "y"),)
    if outputs != size:
        buffers["z"] = p.Buffer("z", (1, 1, outputs), dtype, 1 / 64, 0)
        steps += (p.Crop("first", ("y",), "z"),)
    last = steps[-1].output
    return p.Program("eye", "eye.onnx", "made", False, buffers, {}, steps, ("x",), (last,), {"x": shape, last: (outputs,)})


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_answers_have_names_and_probabilities(dtype):
    model = edgebn.prepare(classifier(dtype), image=Picture(scale=(1 / 64,)), labels=["a", "b", "c", "d"])
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[0, 0] = 64, 128, 0
    pixels[0, 1, 0] = 64
    answer = edgebn.Pipeline(model)(pixels)
    scores = np.array([1, 127 / 64 if dtype == "int8" else 2, 0, 1])
    shares = np.exp(scores) / np.exp(scores).sum()
    assert [(entry.name, entry.index) for entry in answer] == [("b", 1), ("a", 0), ("d", 3), ("c", 2)]
    np.testing.assert_allclose([entry.score for entry in answer], shares[[1, 0, 3, 2]], rtol=1e-6)


def test_a_single_score_has_two_names():
    model = edgebn.prepare(classifier(outputs=1), labels=["low", "high"])
    (answer,) = class_answers(np.array([[2.0]], np.float32), model)
    assert [entry.name for entry in answer] == ["high", "low"]
    assert answer[0].score == pytest.approx(1 / (1 + np.exp(-2)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"image": Picture("grey")}, "1 channels"),
        ({"image": Picture("cmyk")}, "colours is one of"),
        ({"image": Picture(resize="cubic")}, "resize is one of"),
        ({"image": Picture(fit="none")}, "fit is one of"),
        ({"image": Picture(border=256)}, "border"),
        ({"image": Picture(scale=(1.0, 2.0))}, "scale is one number or 3"),
        ({"image": Picture(scale=(0.0,))}, "not 0"),
        ({"image": Picture(offset=(float("nan"),))}, "offset"),
        ({"labels": ["a", "b"]}, "2 names"),
    ],
)
def test_what_does_not_fit_is_refused(options, said):
    with pytest.raises(ModelError, match=rf"eye\.onnx: .*{said}"):
        edgebn.prepare(classifier(), **options)


def test_a_damaged_file_is_refused(tmp_path, monkeypatch):
    model = edgebn.prepare(classifier(), image=Picture())
    monkeypatch.setattr("edgebn.preparation.check.check_preparation", lambda _: None)
    import dataclasses

    broken = dataclasses.replace(model, preparation=dataclasses.replace(model.preparation, before=Picture(border=-1)))
    edgebn.save(broken, tmp_path / "eye.edgebn")
    assert edgebn.load(tmp_path / "eye.edgebn").preparation.before.border == -1
    monkeypatch.undo()
    with pytest.raises(ModelError, match="border"):
        edgebn.load(tmp_path / "eye.edgebn")


@pytest.fixture
def eye(tmp_path):
    edgebn.save(classifier(), tmp_path / "plain.edgebn")
    return tmp_path


def run_json(capsys, *arguments):
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_from_a_photo_to_a_name(eye, capsys):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(2)
    (eye / "photos").mkdir()
    photos = [rng.integers(0, 256, (40, 30, 3)).astype(np.uint8) for _ in range(3)]
    for index, pixels in enumerate(photos):
        image.fromarray(pixels).save(eye / "photos" / f"{index}.png")
    turned = image.Exif()
    turned[0x0112] = 6  # the camera was held on its side
    image.fromarray(np.rot90(photos[0]).copy()).save(eye / "turned.png", exif=turned)
    (eye / "names.txt").write_text("a\nb\n\nc\nd\n")
    said = run_json(
        capsys, "prepare", eye / "plain.edgebn", "--image", "bgr", "--fit", "crop", "--mean", "128", "--deviation", "64,32,64",
        "--labels", eye / "names.txt", "-o", eye / "eye.edgebn",
    )  # fmt: skip
    assert said["preparation"]["after"]["names"] == ["a", "b", "c", "d"]
    pipeline = edgebn.Pipeline(edgebn.load(eye / "eye.edgebn"))
    found = run_json(capsys, "run", eye / "eye.edgebn", eye / "photos", "--top", "2")["top"]
    assert len(found) == 3
    for pixels, best in zip(photos, found, strict=True):
        expected = pipeline(pixels)[:2]
        assert [(entry["name"], entry["score"]) for entry in best] == [(entry.name, entry.score) for entry in expected]
    (best,) = run_json(capsys, "run", eye / "eye.edgebn", eye / "turned.png", "--top", "2")["top"]
    assert best == found[0]
    assert main(["run", str(eye / "eye.edgebn"), str(eye / "photos" / "1.png")]) == 0
    assert found[1][0]["name"] + ": " in capsys.readouterr().out


def test_grey_of_16_bits_is_rounded(eye):
    image = pytest.importorskip("PIL.Image")
    from edgebn.cli.prepared import read_8_bits

    values = np.array([[0, 128, 129, 257, 65535, 65406]], np.uint16)
    image.fromarray(values).save(eye / "wide.png")
    np.testing.assert_array_equal(read_8_bits(eye / "wide.png", Picture("grey"))[0, :, 0], [0, 0, 1, 1, 255, 254])


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["prepare", "plain.edgebn", "-o", "o.edgebn"], 2, "say what to keep"),
        (["prepare", "plain.edgebn", "-o", "o.edgebn", "--fit", "crop"], 2, "--fit does nothing here"),
        (["prepare", "plain.edgebn", "-o", "o.edgebn", "--stride", "2", "--image", "rgb"], 2, "--stride does nothing here"),
        (["prepare", "plain.edgebn", "-o", "o.edgebn", "--image", "rgb", "--scale", "2", "--mean", "3"], 2, "or --mean and"),
        (["prepare", "plain.edgebn", "-o", "o.edgebn", "--image", "rgb", "--deviation", "0"], 2, "cannot be 0"),
        (["prepare", "float.edgebn", "-o", "o.edgebn", "--image", "rgb"], 2, "does not say how pixels are scaled"),
        (["prepare", "plain.edgebn", "-o", "o.edgebn", "--labels", "nowhere.txt"], 1, "no such file"),
        (["prepare", "plain.edgebn", "-o", "o.edgebn", "--labels", "a,b"], 1, "2 names"),
        (["run", "eye.edgebn", "empty"], 1, "holds no pictures"),
        (["run", "plain.edgebn", "empty"], 1, "is a folder"),
        (["run", "eye.edgebn", "empty", "--scale", "2"], 2, "leave --scale and --offset out"),
    ],
)
def test_the_command_says_what_is_wrong(arguments, status, said, eye, capsys, monkeypatch):
    monkeypatch.chdir(eye)
    edgebn.save(classifier("float32"), eye / "float.edgebn")
    edgebn.save(edgebn.prepare(classifier(), image=Picture()), eye / "eye.edgebn")
    (eye / "empty").mkdir()
    assert main(arguments) == status
    assert said in capsys.readouterr().err


def test_quantising_keeps_what_stands_before_and_behind():
    from tests.demo_model import DATA, demo_images

    model = edgebn.prepare(edgebn.load(DATA / "fashion_mnist.keras"), image=Picture("grey", scale=(1 / 255,)), labels="abcdefghij")
    assert edgebn.quantize(model, demo_images()[0][:8]).preparation == model.preparation
    pixels = np.rint(demo_images()[0][0] * 255).astype(np.uint8)
    expected = edgebn.Session(model).run(demo_images()[0][:1])[0].argmax()
    assert edgebn.Pipeline(model)(pixels)[0].index == expected


def test_a_pipeline_hears(recorded):
    from edgebn.preparation.data import MicroFrontEnd, Sound
    from edgebn.preparation.sounds import heard
    from tests.preparation.test_sound import network

    model = network(MicroFrontEnd(), 5, stride=2)
    with np.load(recorded / "sound" / "micro_frontend.npz") as archive:
        samples = archive["chirp/x"]
    inputs = heard(samples, model.preparation.before, model.buffers["x"])
    expected = edgebn.Session(model).run(inputs)
    pipeline = edgebn.Pipeline(model)
    for _ in range(2):
        found = [answer for part in np.array_split(samples, 13) for answer in pipeline(part)]
        np.testing.assert_array_equal(np.stack(found), expected)
        pipeline.reset()
    assert len(expected) == (98 - 5) // 2 + 1
    assert isinstance(model.preparation.before, Sound)


def test_lookup_has_a_row_a_channel():
    assert lookup(Picture(scale=(1.0, 2.0, 3.0)), p.Buffer("x", (2, 2, 3))).shape == (3, 256)


def test_kernels_are_made_where_nothing_can_be_kept(monkeypatch):
    """As in a service whose home is read-only: Numba refused to compile at all."""
    pytest.importorskip("numba")
    from numba.core import caching

    from edgebn.preparation.compiling import compiled

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert compiled(lambda x: x + 1)(1) == 2
