"""A function of an ahead-of-time object as a built-in function of Python: called in a tenth of the time that ctypes takes.

All of it is Python's stable interface (`PyMethodDef`, `PyCFunction_NewEx` and `METH_FASTCALL` of its C API), but for one word: the
code finds what it needs through the data of a NumPy array, whose place `session/ndarray_struct.py` proves.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

# The words that the code finds: the executor's `call`, the object None, and the functions of Python that it calls.
CALL, NONE, HOLD, LEAVE, RETURN = range(5)
FUNCTIONS = ("Py_IncRef", "PyEval_SaveThread", "PyEval_RestoreThread")
# The same for calls that keep Python's lock: no error is set when a function is called, so LEAVE gives null, with which RETURN does
# nothing.
KEEPING = ("Py_IncRef", "PyErr_Occurred", "Py_IncRef")
DATA_AT = 16  # of an array object: after Python's head, which has two words wherever such functions are used

_FASTCALL = 0x80


class _Method(ctypes.Structure):
    """`PyMethodDef`."""

    _fields_ = (("name", ctypes.c_char_p), ("code", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p))


# Python keeps the address of a function's method: one for each code, for as long as the process lives.
@functools.cache
def _method(code: int) -> _Method:
    return _Method(b"edgebn_fast_call", code, _FASTCALL, None)


def builtin_function(code: int, call: int, *, keeps_lock: bool = False) -> Callable[..., Any]:
    """Return the function that takes the arrays of a call and returns the last, or None where the executor did not run.

    Parameters
    ----------
    code : int
        Address of what `aot_compiler.py` writes as an object's fast entry.
    call : int
        Address of what `executor.call` returned, which must outlive the function; it takes as many objects as the guard has forms.
    keeps_lock : bool
        Whether Python's lock (the GIL) is kept meanwhile, for what takes no longer than to release it and to acquire it again.
    """
    python = ctypes.pythonapi
    names = KEEPING if keeps_lock else FUNCTIONS
    functions = [ctypes.cast(getattr(python, name), ctypes.c_void_p).value for name in names]
    words = np.array([call, id(None), *functions], np.int64)
    make = python.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, (ctypes.POINTER(_Method), ctypes.py_object, ctypes.c_void_p)
    return make(ctypes.byref(_method(code)), words, None)
