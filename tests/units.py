"""float32 results against float64's, in units of the last place."""

import numpy as np


def assert_within(got, exact, units):
    """Hold results to units in the last place and to the signs of exact ones, beyond float32 to what it makes of them."""
    with np.errstate(over="ignore"):
        nearest = exact.astype(np.float32)
    beyond = ~(np.abs(exact) < np.finfo(np.float32).max)
    np.testing.assert_array_equal(got[beyond], nearest[beyond])
    got, exact, nearest = (array[~beyond] for array in (got, exact, nearest))
    assert (np.abs(got - exact) / np.spacing(np.abs(nearest)).astype(np.float64)).max() <= units
    assert (np.signbit(got) == np.signbit(exact)).all()
