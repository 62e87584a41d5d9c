"""The form of the records that packers write and kernels read: word lists and units. Needs no Numba, so that packing needs none."""

from __future__ import annotations

from edgebn.functions import CELLS, FUNCTIONS

# Plain kernels: one int64 record a channel: acc_bias, lo, hi, m, r, s.
RECORD_WORDS = 6
NEGATIVE_ROUNDING = 1 << 31  # what double rounding takes off the product of a negative sum

# Tiles: order of the arrays in a block of packed int8 epilogue, each `channels of the block` long: 32-bit words, then 64-bit.
INT8_WORDS = ("bias", "scale", "offset", "negative_rounding", "base", "lo", "hi", "m")
INT8_LONGS = ("r", "s")
FLOAT32_WORDS = ("bias", "a", "d")
UNIT_BITS = 16  # fraction bits of a tile's t (`int8_epilogue.py`)

# Bits of an int8 tile's mode: negative accumulators are rounded once more; accumulators are clipped; they must be converted to
# float32, as they have no base (`requantization.py`); outputs have bounds of their own.
DOUBLE_ROUNDED, CLIPPED, CONVERTED, BOUNDED = 1, 2, 4, 8

# float32 functions of one number (`pointwise.py`); the position is the variant's number. A PReLU reads a second one.
POINTWISE = tuple(name for name in FUNCTIONS if name != "prelu")

# Recurrent cells (`recurrence.py`) and the functions that they are made of, likewise.
RECURRENT_CELLS = tuple(CELLS)
RECURRENT_FUNCTIONS = ("sigmoid", "hard_sigmoid", "tanh", "clip")

# Functions of int16 codes (`curve.py`), likewise.
CURVES = ("table", "sigmoid", "tanh", "rsqrt")

# What a refold made of a step: new numbers, none because some would leave their range, or the source's.
FOLDED, REFUSED, SOURCE = 0, 1, 2

# What came of learning from a sample (`compensated.py`): an update, or none as the sample's numbers or the update's are not finite.
LEARNED, UNFIT_SAMPLE, UNFIT_UPDATE = 0, 1, 2

# Threads that share a table (`work_sharing.py`): words of their block, in cache lines of their own: the phase that goes on and its
# tasks not taken; its tasks not done; workers that look on; and what changes seldom: all threads, the nanoseconds that a worker
# looks for the next call, and when the last one ended.
SHARING_WORDS = 32
SHARING_STATE, SHARING_LEFT, SHARING_PRESENT, SHARING_THREADS, SHARING_LINGER, SHARING_ENDED = 0, 8, 16, 24, 25, 26
MASK_BITS = 48  # of the word of state, for tasks; above them the phase
JOIN = -1  # in place of a batch: join those who walk the table; `argument` is then the worker's number, from 1 on

# What an executor returns when it leaves a call to the caller: the arrays are not what the fast call
# wants, or another call is going on.
NOT_HANDLED = -1

# Words of a check, of a float32 input that may hold no NaN: where the word with its address stands, its numbers a sample; then
# where it is copied to, 0 for nowhere, the bytes to the next row there, the rows, and the numbers of one.
CHECK_WORD, CHECK_NUMBERS, CHECK_HOME, CHECK_ROW, CHECK_ROWS, CHECK_COUNT = range(6)
CHECK_WORDS = 6

# Words of a guard (`fast_call.py`): bytes from an array object's beginning to the words with its class, type, flags, number of
# axes, address of its shape and address of its data; the class; how many arrays enter, and how many there are; then the addresses
# of their forms. Words of a form: the address of the type, flags that must be set, bytes, the number of axes, and every axis.
GUARD_CLASS_AT, GUARD_TYPE_AT, GUARD_FLAGS_AT, GUARD_AXES_AT, GUARD_SHAPE_AT, GUARD_DATA_AT = range(6)
GUARD_CLASS, GUARD_ENTRIES, GUARD_COUNT, GUARD_LAYOUTS = range(6, 10)
FORM_TYPE, FORM_FLAGS, FORM_BYTES, FORM_AXES, FORM_SHAPE = range(5)
