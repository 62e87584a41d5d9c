"""Where operations are cut for threads: everybody's part is as large, and has as many shares."""

import pytest

from edgebn.kernels import isa, tile_shapes
from edgebn.session import shares, splitting
from edgebn.session.packer import SHARED, Row


def tile(rows, columns, blocks, depth=64, variant=0, weight=1 << 30):
    mr, nv = tile_shapes.shapes(isa.SELECTED, real=True)[variant]
    channels = nv * isa.SELECTED.lanes
    words = {
        "variant": variant,
        "src": 0,
        "row_step": columns * depth * 4,
        "column_step": depth * 4,
        "tap_rows": 1,
        "tap_columns": 1,
        "depth": depth,
        "weight": weight,
        "weight_row_step": 0,
        "epilogue": 1 << 40,
        "dst": 1 << 20,
        "dst_row": columns * blocks * channels * 4,
        "dst_pixel": blocks * channels * 4,
        "rows": rows,
        "columns": max(columns, mr),
        "blocks": blocks,
        "last_channels": channels,
    }
    return Row("tile_f32", words, None)


def loads(rows, threads):
    """Return the work of each thread, which takes the shares of its own part (`kernels/work_sharing.py`)."""
    found = [row for row in splitting.shared(rows, threads) if SHARED in row.tables and row.share is not None]
    count = 1 + max(row.share[1] for row in found)
    work = [0.0] * count
    for row in found:
        work[row.share[1]] += shares.nanoseconds(row)
    return [sum(work[who * count // threads : (who + 1) * count // threads]) for who in range(threads)]


@pytest.mark.skipif(isa.SELECTED.lanes == 0, reason="the plain kernels have no tiles")
@pytest.mark.parametrize("shape", [(14, 14, 9), (1, 49, 5), (7, 7, 10), (1, 196, 1), (28, 28, 3), (5, 60, 7)])
@pytest.mark.parametrize("threads", [2, 3, 4])
def test_parts_are_alike(shape, threads):
    found = loads([tile(*shape, depth=512)], threads)
    assert max(found) <= 1.2 * sum(found) / threads


@pytest.mark.skipif(isa.SELECTED.lanes == 0, reason="the plain kernels have no tiles")
@pytest.mark.parametrize("threads", [2, 3, 4, 5, 6, 7, 8, 12, 16, 32, 64])
def test_every_number_of_threads_has_work_that_covers_all_of_it(threads):
    halo = Row("fill_halo", {"dst": 1 << 20, "row": 4096, "rows": 7, "start_offset": 64, "gap": 64, "tail": 64, "byte": 0}, None)
    for rows, columns, blocks in ((7, 7, 1), (1, 6, 7), (7, 30, 3), (1, 49, 7), (3, 12, 5), (15, 6, 1), (63, 64, 2)):
        for depth in (8, 64, 2048):
            given = tile(rows, columns, blocks, depth)
            found = splitting.shared([halo, given], threads)
            parts = [row for row in found if SHARED in row.tables and row.operation == "tile_f32"]
            done = sum(row.arguments["rows"] * row.arguments["blocks"] * row.arguments["columns"] for row in parts)
            assert done >= rows * given.arguments["columns"] * blocks  # pixels of a tile that moves left are done twice
            numbers = {row.share[1] for row in found if row.share is not None}
            assert not numbers or len(numbers) == 1 + max(numbers)


@pytest.mark.skipif(isa.SELECTED.lanes == 0, reason="the plain kernels have no tiles")
def test_narrow_tiles_fill_up_what_wide_ones_left():
    known = tile_shapes.shapes(isa.SELECTED, real=True)
    narrower = next(i for i, (mr, nv) in enumerate(known) if mr == 5 and nv < known[0][1])
    wide, narrow = tile(1, 49, 2, depth=960), tile(1, 49, 1, depth=960, variant=narrower, weight=2 << 30)
    found = loads([wide, narrow], 2)
    assert max(found) <= 1.1 * sum(found) / 2


@pytest.mark.skipif(isa.SELECTED.lanes == 0, reason="the plain kernels have no tiles")
def test_a_halo_is_filled_beside_what_it_surrounds():
    halo = Row("fill_halo", {"dst": 1 << 20, "row": 4096, "rows": 14, "start_offset": 64, "gap": 64, "tail": 64, "byte": 0}, None)
    found = splitting.shared([halo, tile(14, 14, 8, depth=512)], 2)
    parts = [row for row in found if SHARED in row.tables]
    assert {row.operation for row in parts} == {"fill_halo", "tile_f32"}
    assert {row.share[0] for row in parts} == {0}


@pytest.mark.skipif(isa.SELECTED.lanes == 0, reason="the plain kernels have no tiles")
@pytest.mark.parametrize(("depth", "blocks", "by"), [(64, 6, "rows"), (512, 8, "rows"), (64, 40, "blocks"), (4608, 8, "blocks")])
def test_pixels_are_split_where_weights_are_not_far_larger_than_the_input(depth, blocks, by):
    """A core then reads the half of the map that it has written itself."""
    whole = tile(14, 14, blocks, depth) if by == "rows" else tile(2, 7, blocks, depth)
    parts = [row for row in splitting.shared([whole], 2) if SHARED in row.tables]
    other = "blocks" if by == "rows" else "rows"
    (part,) = {row.share[1] // (len(parts) // 2) for row in parts if row.arguments["dst"] == whole.arguments["dst"]}
    mine = [row.arguments for row in parts if row.share[1] // (len(parts) // 2) == part]
    assert sum(row["rows"] * row["blocks"] for row in mine) <= whole.arguments["rows"] * whole.arguments["blocks"] * 0.6
    assert sum(row[other] for row in mine if row[by] == mine[0][by]) >= whole.arguments[other]


def test_strips_go_to_the_same_thread_as_their_neighbours():
    strip = {"src_row": 4000, "dst_row": 4000, "columns": 100, "channels": 10, "rows": 8, "weight": 0}
    rows = [Row("affine_f32", {**strip, "src": 32000 * i, "dst": 32000 * i}, None) for i in range(8)]
    found = splitting.shared(rows, 2)
    shared_rows = [row for row in found if SHARED in row.tables and row.share is not None]
    starts = [row.arguments["dst"] for row in shared_rows]
    assert starts == sorted(starts)
    assert sum(row.arguments["rows"] for row in shared_rows) == 64


def test_a_sum_of_two_microseconds_is_shared():
    """What a step before it left in several caches is read there."""
    words = dict.fromkeys(("a", "b", "dst"), 0) | {f"{name}_row": 28 * 28 * 24 for name in ("a", "b", "dst")}
    found = splitting.shared([Row("add_tile_i8", {**words, "rows": 1, "count": 28 * 28 * 24}, None)], 2)
    assert {row.share for row in found if SHARED in row.tables} == {(0, 0), (0, 1)}
