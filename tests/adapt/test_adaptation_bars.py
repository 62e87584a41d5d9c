"""What adaptation promises, on real data: `benchmarks/adapt/adaptation.py` has the longer tables."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.adapt.adaptation import errors, image_tasks, speech_tasks
from edgebn.adapt.streams import ORDERS
from tests.conftest import TEST_ALL

SEEDS = range(5 if TEST_ALL else 2)
MIN_GAIN = {"iid": 1.5, "sorted": 1.0, "dirichlet": 1.5}  # of the mean of four shifts, in points
MAX_HARM_CLEAN, MAX_HARM_SHIFTED = 0.4, 1.0
MAX_BEHIND = 1.0  # the folded network, behind the one with its batch norms
MAX_ERRORS = {"iid": 28.5, "sorted": 31.5, "dirichlet": 29.5}  # % of ResNet-8 over six shifts; 48.7 without adaptation


@pytest.fixture(scope="module")
def tasks(shared_models, shared_data):
    return list(speech_tasks(shared_models.parent))


@pytest.fixture(scope="module")
def images(shared_models, shared_data):
    tuned, _ = image_tasks(shared_models.parent)
    return tuned


@pytest.fixture(scope="module")
def tables(tasks):
    """Return errors by network, order (None: without adaptation) and domain, in %."""
    found = {}
    for task in tasks:
        for order in (None, *ORDERS):
            by_domain = errors(task, order and "compensated-tracking", order or "iid", SEEDS)
            found[task.name, order] = {name: float(np.mean(values)) for name, values in by_domain.items()}
    return found


def shifted(by_domain):
    return np.mean([error for name, error in by_domain.items() if name != "clean"])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ["kws.keras", "kws_int8.tflite"])
def test_shifts_cost_less_and_nothing_costs_more(tables, name, order):
    before, after = tables[name, None], tables[name, order]
    assert after["clean"] <= before["clean"] + MAX_HARM_CLEAN
    assert shifted(after) <= shifted(before) - MIN_GAIN[order]
    for domain, error in after.items():
        assert error <= before[domain] + MAX_HARM_SHIFTED, domain


@pytest.mark.parametrize("order", ORDERS)
def test_the_folded_network_keeps_up(tables, order):
    assert shifted(tables["kws_int8.tflite", order]) <= shifted(tables["kws.keras", order]) + MAX_BEHIND


def test_a_heavy_tilt_gets_no_worse(tasks):
    """It did while one row of each layer was observed: 77 % became 83 to 91 in the folded network."""
    for task in tasks:
        tilted = replace(task, domains={"tilt": task.domains["clean"] + np.linspace(-15, 15, 10, dtype=np.float32)[:, None]})
        (before,) = errors(tilted, None, "iid", SEEDS)["tilt"]
        for order in ORDERS:
            assert np.mean(errors(tilted, "compensated-tracking", order, SEEDS)["tilt"]) < before - 5, (task.name, order)


@pytest.mark.parametrize("order", ORDERS)
def test_pictures_cost_less_under_six_shifts_and_nothing_without_one(images, order):
    (before,) = errors(replace(images, domains={"clean": images.domains["clean"]}), None, order, SEEDS)["clean"]
    after = {name: float(np.mean(values)) for name, values in errors(images, "compensated-tracking", order, SEEDS).items()}
    assert after["clean"] <= before + 0.1
    assert shifted(after) <= MAX_ERRORS[order]
