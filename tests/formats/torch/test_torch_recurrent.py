"""Recurrent layers of PyTorch: states that a program takes as inputs, and what is refused; torch_cases.py compares the numbers."""

import json
import zipfile

import numpy as np
import pytest

import edgebn
from edgebn import reference
from edgebn.errors import UnsupportedLayerError
from edgebn.formats.torch.archive import open_archive
from tests.conftest import RECORDED

FOLDER = RECORDED / "torch_recurrent"
MODEL = "model/models/model.json"


def changed(folder, name, change):
    """Write a recorded program after `change` went over its graph's signature and calls."""
    path = folder / "changed.pt2"
    with zipfile.ZipFile(FOLDER / f"{name}.pt2") as old, zipfile.ZipFile(path, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            if member == MODEL:
                document = json.loads(content)
                module = document["graph_module"]
                calls = {node["target"].split(".")[3]: node for node in module["graph"]["nodes"]}
                change(module["signature"]["input_specs"], calls)
                content = json.dumps(document).encode()
            new.writestr(member, content)
    return path


def argument(call, name):
    return next(entry["arg"] for entry in call["inputs"] if entry["name"] == name)


def test_states_that_are_inputs(tmp_path):
    """Their first axis is that of layers, not of samples, so that the network has no batch."""

    def takes_its_state(specs, _):
        place = next(place for place, spec in enumerate(specs) if spec.get("parameter", {}).get("parameter_name") == "first")
        specs[place] = {"user_input": {"arg": {"as_tensor": specs[place]["parameter"]["arg"]}}}

    program = edgebn.load(changed(tmp_path, "lstm_first", takes_its_state))
    with np.load(FOLDER / "zoo.npz") as arrays, open_archive(FOLDER / "lstm_first.pt2", "file") as archive:
        x, wanted, first = arrays["lstm_first/x"], arrays["lstm_first/y0"], archive.array("first")
    assert program.shapes == {"p_first": (1, 6), "x": x.shape, program.outputs[0]: wanted.shape}
    got = reference.run(program, {"p_first": first, "x": x[np.newaxis]})
    np.testing.assert_allclose(got, wanted[np.newaxis], rtol=0, atol=1e-5)


def packs(_, calls):
    calls["lstm"]["inputs"][0]["name"] = "data"
    calls["lstm"]["inputs"].append({"name": "batch_sizes", "arg": {"as_tensor": {"name": "x"}}, "kind": 1})


def projects(_, calls):
    params = argument(calls["lstm"], "params")["as_tensors"]
    params.append(params[0])


def drops(_, calls):
    argument(calls["gru"], "train")["as_bool"], argument(calls["gru"], "dropout")["as_float"] = True, 0.5


def has_its_batch_in_front(_, calls):
    argument(calls["gru"], "input")["as_tensor"]["name"] = "x"


REFUSED = {
    "lstm": [(packs, "pack_padded_sequence"), (projects, "proj_size")],
    "gru_layers": [(drops, r"call eval\(\)")],
    "gru_turned": [(has_its_batch_in_front, "batch_first=True, or export it with one sample")],
}


@pytest.mark.parametrize(("name", "change", "reason"), [(name, *each) for name, found in REFUSED.items() for each in found])
def test_what_is_refused(name, change, reason, tmp_path):
    with pytest.raises(UnsupportedLayerError, match=rf"layer 'layer#\d' \(aten\.\w+\.input\): .*{reason}"):
        edgebn.load(changed(tmp_path, name, change))
