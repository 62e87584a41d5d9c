"""What the tests of live frameworks share."""

import logging

import pytest


@pytest.fixture(autouse=True, scope="module")
def _quiet():
    """Keras advises against .h5 at every save; edgebn reads it."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)
