"""`edgebn adapt` on the shipped network under a shift."""

import json

import numpy as np
import pytest

import edgebn
from edgebn.cli.main import main
from tests.demo_model import demo_images, demo_int8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapt")
    images, labels = demo_images()
    edgebn.save(demo_int8(), folder / "int8.edgebn")
    np.save(folder / "home.npy", images[:600])
    np.savez(folder / "stream.npz", clean=images[600:800], dim=images[600:800] * np.float32(0.35), y=labels[600:800])
    return folder


def adapt(capsys, *arguments, status=0):
    assert main(["adapt", *map(str, arguments), "--json"]) == status
    return json.loads(capsys.readouterr().out)


def test_policies_are_compared_and_a_picture_drawn(folder, capsys):
    arguments = ["--labels", "y", "--home", folder / "home.npy", "--domain", "clean", "--domain", "dim", "--order", "iid"]
    result = adapt(
        capsys, folder / "int8.edgebn", folder / "stream.npz", *arguments, "--plot", folder / "p.png", "-o", folder / "a.edgebn"
    )
    errors = {(one["domain"], one["policy"]): one["error"] for one in result["results"]}
    assert errors["clean", "compensated-tracking"] == errors["clean", "none"]
    assert errors["dim", "compensated-tracking"] < errors["dim", "none"]
    assert (folder / "p.png").read_bytes()[:4] == b"\x89PNG"
    assert edgebn.load(folder / "a.edgebn").adaptation is not None


def test_a_model_with_tables_needs_no_home_and_domains_can_follow_each_other(folder, capsys):
    edgebn.save(edgebn.adaptable(demo_int8(), demo_images()[0][:200]), folder / "tables.edgebn")
    result = adapt(
        capsys, folder / "tables.edgebn", folder / "stream.npz", "--labels", "y", "--domain", "dim", "--domain", "clean",
        "--sequence", "continual", "--order", "sorted", "--policy", "dua",
    )  # fmt: skip
    assert [(one["policy"], one["samples"]) for one in result["results"]] == [("none", 400), ("dua", 400)]


def test_a_model_without_tables_says_what_to_do(folder, capsys):
    assert main(["adapt", str(folder / "int8.edgebn"), str(folder / "stream.npz"), "--labels", "y", "--key", "dim"]) == 1
    assert "--home" in capsys.readouterr().err


def test_a_picture_of_unknown_type_is_refused(folder, capsys):
    arguments = ["--labels", "y", "--key", "dim", "--order", "iid", "--policy", "moments", "--limit", "20"]
    assert main(["adapt", str(folder / "int8.edgebn"), str(folder / "stream.npz"), "--home", str(folder / "home.npy"), *arguments,
                 "--plot", str(folder / "p.txt")]) == 1  # fmt: skip
    assert "png" in capsys.readouterr().err
