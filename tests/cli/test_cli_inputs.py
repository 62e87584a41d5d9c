"""Input files of the command line: every type read, every damage refused in one sentence, every remedy named."""

import argparse
import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgebn.cli.arrays import Archive, read_npy
from edgebn.cli.inputs import load_inputs, load_labels
from edgebn.cli.values import factor, number
from edgebn.errors import InputRangeWarning, ModelError
from edgebn.program import Buffer, InputScaling, Program

DEFAULTS = {"key": None, "scale": None, "offset": None, "dtype": "float32", "limit": None}


def program(dtype="float32", shape=(4, 3, 2), names=("x",)):
    buffers = {name: Buffer(name, shape, dtype) for name in names}
    return Program("net", "net.h5", "keras", False, buffers, {}, (), tuple(names), tuple(names), dict.fromkeys(names, shape))


def load(path, network=None, **options):
    return load_inputs(path, network or program(), argparse.Namespace(**{**DEFAULTS, **options}))


@pytest.fixture
def samples():
    return np.random.default_rng(0).random((5, 4, 3, 2), np.float32)


def test_npy_gives_the_numbers_of_the_file(tmp_path, samples):
    np.save(tmp_path / "x.npy", samples)
    np.testing.assert_array_equal(load(tmp_path / "x.npy"), samples)


def test_one_sample_without_batch_axis_is_one_sample(tmp_path, samples):
    np.save(tmp_path / "x.npy", samples[0])
    np.testing.assert_array_equal(load(tmp_path / "x.npy"), samples[:1])


def test_grey_images_may_leave_out_their_channel(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((2, 5, 5), np.uint8))
    assert load(tmp_path / "x.npy", program(shape=(5, 5, 1))).shape == (2, 5, 5, 1)


def test_pixels_are_scaled_and_shifted(tmp_path):
    pixels = np.arange(48, dtype=np.uint8).reshape(2, 4, 3, 2)
    np.save(tmp_path / "x.npy", pixels)
    found = load(tmp_path / "x.npy", scale=number("1/255"), offset=-0.5)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, pixels / 255 - 0.5, atol=1e-6)


def test_int8_stays_raw_codes_for_an_int8_program(tmp_path):
    codes = np.arange(-24, 24, dtype=np.int8).reshape(2, 4, 3, 2)
    np.save(tmp_path / "x.npy", codes)
    found = load(tmp_path / "x.npy", program("int8"))
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, codes)
    assert load(tmp_path / "x.npy", program("int8"), scale=0.5).dtype == np.float32
    with pytest.raises(ModelError, match="--scale"):
        load(tmp_path / "x.npy", program("float32"))


def test_npz_picks_the_array_that_fits(tmp_path, samples):
    np.savez(tmp_path / "x.npz", labels=np.arange(5), images=samples)
    np.testing.assert_array_equal(load(tmp_path / "x.npz"), samples)


def test_npz_with_two_arrays_that_fit_asks_for_a_key(tmp_path, samples):
    np.savez(tmp_path / "x.npz", one=samples, two=samples[:2])
    with pytest.raises(ModelError, match="choose one with --key"):
        load(tmp_path / "x.npz")
    assert len(load(tmp_path / "x.npz", key="two")) == 2
    with pytest.raises(ModelError, match="no array 'three'; it has one"):
        load(tmp_path / "x.npz", key="three")


def test_several_inputs_come_from_one_npz(tmp_path, samples):
    network = program(names=("a", "b"))
    np.savez(tmp_path / "x.npz", a=samples, b=samples * 2)
    found = load(tmp_path / "x.npz", network, limit=3)
    np.testing.assert_array_equal(found["b"], samples[:3] * 2)
    np.savez(tmp_path / "uneven.npz", a=samples, b=samples[:2])
    with pytest.raises(ModelError, match="different numbers of samples"):
        load(tmp_path / "uneven.npz", network)


def test_raw_files_are_little_endian_samples(tmp_path, samples):
    (tmp_path / "x.bin").write_bytes(samples.astype("<f4").tobytes())
    np.testing.assert_array_equal(load(tmp_path / "x.bin"), samples)
    (tmp_path / "x.bin").write_bytes(bytes(range(48)))
    np.testing.assert_array_equal(load(tmp_path / "x.bin", dtype="uint8").reshape(-1), np.arange(48))
    with pytest.raises(ModelError, match="no multiple of the 96 bytes"):
        load(tmp_path / "x.bin")  # 48 bytes are half a float32 sample


@pytest.mark.parametrize(("suffix", "exact"), [("png", True), ("jpg", False)])
def test_images_are_read_in_the_channels_of_the_network(tmp_path, suffix, exact):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    pixels = np.full((6, 8, 3), (10, 200, 90), np.uint8)
    path = tmp_path / f"x.{suffix}"
    image.fromarray(pixels).save(path)
    found = load(path, program(shape=(6, 8, 3)))
    assert found.shape == (1, 6, 8, 3)
    assert np.abs(found[0] - pixels).max() <= (0 if exact else 4)
    grey = load(path, program(shape=(6, 8, 1)))
    assert np.abs(grey - (0.299 * 10 + 0.587 * 200 + 0.114 * 90)).max() <= (1 if exact else 4)


def test_an_image_of_another_size_is_refused_with_the_remedy(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    image.new("RGB", (8, 6)).save(tmp_path / "x.png")
    with pytest.raises(ModelError, match=r"6 x 8 pixels.*takes 8 x 6; resize it first"):
        load(tmp_path / "x.png", program(shape=(8, 6, 3)))
    with pytest.raises(ModelError, match=r"takes inputs of shape \(640,\)"):
        load(tmp_path / "x.png", program(shape=(640,)))


def test_channels_first_arrays_are_refused_with_the_remedy(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((5, 2, 4, 3), np.float32))
    with pytest.raises(ModelError, match=r"numpy.moveaxis\(x, -3, -1\)"):
        load(tmp_path / "x.npy")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((5, 4, 3, 3), np.float32), r"takes \(N, 4, 3, 2\)"),
        (np.ones((0, 4, 3, 2), np.float32), "no samples"),
        (np.float32(3), r"takes \(N, 4, 3, 2\)"),
        (np.ones((5, 4, 3, 2), np.complex64), "c8, not plain numbers"),
        (np.full((5, 4, 3, 2), "a"), "not plain numbers"),
        (np.full((5, 4, 3, 2), None), "not plain numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, values, message):
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(ModelError, match=message):
        load(tmp_path / "x.npy")


def test_unknown_types_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no known type"):
        load(tmp_path / "x.wav")


def test_a_missing_file_is_an_os_error(tmp_path):
    for name in ("x.npy", "x.npz", "x.bin", "x.png"):
        with pytest.raises(FileNotFoundError):
            load(tmp_path / name, program(shape=(4, 4, 3)))


@given(st.data())
def test_mutated_arrays_give_numbers_or_a_model_error(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("mutated")
    npy, npz = io.BytesIO(), io.BytesIO()
    values = np.arange(24, dtype=np.float32).reshape(1, 4, 3, 2)
    np.save(npy, values)
    np.savez_compressed(npz, x=values)
    for suffix, content in (("npy", npy.getvalue()), ("npz", npz.getvalue())):
        damaged = bytearray(content[: data.draw(st.integers(0, len(content)))])
        for _ in range(data.draw(st.integers(0, 4))):
            if damaged:
                damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        path = folder / f"x.{suffix}"
        path.write_bytes(damaged)
        try:
            found = load(path)
        except ModelError:
            continue
        assert found.shape[1:] == (4, 3, 2)


def test_a_header_that_promises_more_than_the_file_holds_is_refused(tmp_path):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 4, 3, 2)})
    (tmp_path / "x.npy").write_bytes(file.getvalue() + b"\0" * 96)
    with pytest.raises(ModelError, match="more than the file holds"):
        read_npy(tmp_path / "x.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", file.getvalue())
    with pytest.raises(ModelError, match="more than the file holds"):
        Archive(tmp_path / "x.npz")


def test_labels_come_from_the_archive_or_a_file_of_their_own(tmp_path, samples):
    np.savez(tmp_path / "x.npz", images=samples, y=np.array([[0], [1], [2], [1], [0]], np.uint8))
    np.save(tmp_path / "one_hot.npy", np.eye(3, dtype=np.float32))
    np.testing.assert_array_equal(load_labels("y", tmp_path / "x.npz"), [0, 1, 2, 1, 0])
    np.testing.assert_array_equal(load_labels(str(tmp_path / "one_hot.npy"), tmp_path / "x.npz"), [0, 1, 2])
    np.save(tmp_path / "real.npy", np.array([0.5, 1.0]))
    with pytest.raises(ModelError, match="no class numbers"):
        load_labels(str(tmp_path / "real.npy"), tmp_path / "x.npz")
    with pytest.raises(ModelError, match="neither"):
        load_labels("y", tmp_path / "x.npy")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@given(data=st.data())
def test_mutated_images_give_pixels_or_a_model_error(tmp_path_factory, suffix, data):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    path = tmp_path_factory.mktemp("mutated") / f"x.{suffix}"
    image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(path)
    damaged = bytearray(path.read_bytes())
    del damaged[data.draw(st.integers(0, len(damaged))) :]
    for _ in range(data.draw(st.integers(0, 4))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    try:
        found = load(path, program(shape=(8, 8, 3)))
    except ModelError:
        return
    assert found.shape == (1, 8, 8, 3)


def image_file(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


GREY = np.arange(12, dtype=np.uint8).reshape(4, 3) * 20


def test_16_bits_of_grey_give_the_numbers_of_8(tmp_path):
    path = image_file(tmp_path / "wide.png", GREY.astype(np.uint16) * 257)
    for channels in (1, 3):
        found = load(path, program(shape=(4, 3, channels)))
        np.testing.assert_array_equal(found, np.repeat(GREY[None, :, :, None], channels, axis=3))
    finer = image_file(tmp_path / "finer.png", GREY.astype(np.uint16) * 257 + 128)
    np.testing.assert_allclose(load(finer, program(shape=(4, 3, 1)))[0, :, :, 0], GREY + 128 / 257, rtol=1e-6)


def test_pictures_are_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    path = tmp_path / "turned.png"
    Image.fromarray(np.rot90(GREY)).save(path, exif=exif)
    np.testing.assert_array_equal(load(path, program(shape=(4, 3, 1)))[0, :, :, 0], GREY)


def test_palettes_and_single_bits(tmp_path):
    colours = np.zeros((4, 3, 3), np.uint8)
    colours[1:, 1:] = (200, 100, 50)
    palette = Image.fromarray(colours).convert("P", palette=Image.Palette.ADAPTIVE)
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(load(tmp_path / "palette.png", program(shape=(4, 3, 3)))[0], colours)
    Image.fromarray(GREY > 100).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(load(tmp_path / "bits.png", program(shape=(4, 3, 1)))[0, :, :, 0], (GREY > 100) * 255.0)


def test_moving_pictures_are_refused(tmp_path):
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    frames[0].save(tmp_path / "moving.png", save_all=True, append_images=frames[1:])
    with pytest.raises(ModelError, match="several pictures"):
        load(tmp_path / "moving.png", program(shape=(4, 3, 1)))


def keeping(scale, dtype="float32", *, integers_only=True):
    return replace(program(dtype), input_scaling={"x": InputScaling(scale, 0.5, integers_only)})


def test_a_kept_scaling_is_applied_to_integers(tmp_path, samples):
    pixels = np.arange(48, dtype=np.uint8).reshape(2, 4, 3, 2)
    np.save(tmp_path / "pixels.npy", pixels)
    np.save(tmp_path / "reals.npy", samples)
    np.testing.assert_allclose(load(tmp_path / "pixels.npy", keeping(0.25)), pixels / 4 + 0.5)
    np.testing.assert_array_equal(load(tmp_path / "reals.npy", keeping(0.25)), samples)
    np.testing.assert_allclose(load(tmp_path / "reals.npy", keeping(0.25, integers_only=False)), samples / 4 + 0.5, rtol=1e-6)


def test_a_kept_scaling_is_applied_to_pixels_of_16_bits(tmp_path):
    path = image_file(tmp_path / "wide.png", GREY.astype(np.uint16) * 257)
    network = replace(program(shape=(4, 3, 1)), input_scaling={"x": InputScaling(0.25)})
    np.testing.assert_allclose(load(path, network)[0, :, :, 0], GREY / 4)


def test_int8_codes_of_an_int8_network_are_never_scaled_by_what_is_kept(tmp_path):
    codes = np.arange(-24, 24, dtype=np.int8).reshape(2, 4, 3, 2)
    np.save(tmp_path / "codes.npy", codes)
    assert load(tmp_path / "codes.npy", keeping(0.25, "int8")).dtype == np.int8
    np.testing.assert_allclose(load(tmp_path / "codes.npy", keeping(0.25)), codes / 4 + 0.5)


@pytest.mark.parametrize(("text", "value"), [("1/255", 1 / 255), ("1/127.5", 1 / 127.5), ("-2", -2.0), ("0.5", 0.5)])
def test_scales_are_numbers_or_fractions(text, value):
    assert factor(text) == value


@pytest.mark.parametrize("text", ["0", "1/0", "nan", "inf", "1e300", "1e-60", "x", ""])
def test_scales_by_which_inputs_were_lost_are_none(text):
    with pytest.raises(ValueError):
        factor(text)


def test_another_scale_wins_and_is_said(tmp_path):
    np.save(tmp_path / "pixels.npy", np.ones((2, 4, 3, 2), np.uint8))
    with pytest.warns(InputRangeWarning, match="scaled by --scale 2 as told; the model was made for --scale 1/255"):
        found = load(tmp_path / "pixels.npy", replace(program(), input_scaling={"x": InputScaling(1 / 255)}), scale=2.0)
    assert (found == 2).all()
