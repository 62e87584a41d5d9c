"""Between the user's arrays and the arena values cross as one long row where nothing stands between their rows."""

import pytest

from edgebn.kernels import executor
from edgebn.session.tables import Packed
from tests.test_contract import convolution_program


@pytest.mark.parametrize(("kernel", "padding", "entering"), [((1, 1), (0, 0, 0, 0), 1), ((3, 3), (1, 1, 1, 1), 6)])
def test_dense_values_cross_as_one_row(kernel, padding, entering):
    program = convolution_program((8, 16, 1, kernel, (1, 1), (1, 1), padding, 6, 7), "int8", 0)
    flip = executor.operations()["flip_rows"]
    rows = 1 + [name for name, _ in flip.arguments].index("rows")
    words = Packed(program).codes.words
    assert words[words[:, 0] == flip.code, rows].tolist() == [entering, 1]
