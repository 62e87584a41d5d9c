"""Numba kernels: plain functions on raw addresses, and the executor that walks an operation table over one arena.

Nothing here knows of programs, buffers or layers; `edgebn.session` packs those. Adding an operation: write its kernel in a file of
its own, add it to `registry.OPERATIONS`, and emit its rows from the session's packer.
"""
