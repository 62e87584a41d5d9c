"""Fixtures that every test file shares: where the outside models and data are, and how long property tests may run."""

import os
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from benchmarks import places

RECORDED = Path(__file__).parent / "recorded"
SHARED = places.models_folder()
TEST_ALL = os.environ.get("EDGEBN_TEST_ALL") == "1"
# Half a minute and more each, of compiling or at the end of the list.
LONG = ("test_aot.py", "test_aot_processors.py", "test_instruction_sets.py", "test_random_networks.py")

_common = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("quick", max_examples=20, **_common)
settings.register_profile("all", max_examples=200, **_common)
settings.load_profile("all" if TEST_ALL else "quick")


def _shared(folder: str) -> Path:
    path = SHARED / folder
    if not path.is_dir():
        pytest.skip(places.missing(folder))
    return path


@pytest.fixture(scope="session")
def shared_models() -> Path:
    return _shared("models")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    return _shared("data")


@pytest.fixture(scope="session")
def shared_zoo() -> Path:
    return _shared("zoo")


@pytest.fixture(scope="session")
def recorded() -> Path:
    return RECORDED


@pytest.fixture(scope="session")
def demo():
    """The shipped network in float32 and int8, its images and their labels."""
    from tests import demo_model  # not every test has a demo, nor edgebn's readers

    return demo_model.demo()


@pytest.fixture(scope="session")
def adapting_demo():
    """The demo network with source tables, and a stream of codes: a little of home, then another world."""
    import numpy as np

    import edgebn
    from edgebn import reference
    from tests import demo_model
    from tests.codegen import adapting_c

    images, _ = demo_model.demo_images()
    program = edgebn.adaptable(demo_model.demo_int8(), images[:300])
    buffer = program.buffers[program.inputs[0]]
    home = np.stack([reference.quantize_real(image, buffer) for image in images[300:500]])
    stream = np.concatenate([home[:5], adapting_c.shifted(home[5:])])
    return program, stream.reshape(len(stream), *program.shapes[program.inputs[0]])


@pytest.fixture(scope="session", autouse=True)
def _onnxruntime_is_exact():
    if find_spec("onnxruntime") is not None:
        from tests.exact_onnxruntime import make_exact

        make_exact()


@pytest.fixture(scope="session", autouse=True)
def _builds_are_made_once(tmp_path_factory):
    """Of a run, by whichever worker comes first."""
    from boards import toolchain
    from tests.remembered_builds import remembering

    base = tmp_path_factory.getbasetemp()
    kept = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "remembered-builds"
    kept.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toolchain, "build", remembering(toolchain.build, kept))
        yield


def pytest_configure(config):
    """Let stopped commands stop: a shell in the background, and nohup, have them ignore what stops them."""
    for name, handler in (("SIGHUP", signal.SIG_DFL), ("SIGINT", signal.default_int_handler)):
        number = getattr(signal, name, None)  # the first is none of Windows'
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_modifyitems(items):
    """Begin with what takes longest, so that no worker is left with it while the others have nothing to do."""
    items.sort(key=lambda item: item.path.name not in LONG)
