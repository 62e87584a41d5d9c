"""What packing and the kernels of averages both know. No kernels here, and no Numba."""

BLOCK = 32  # taps that one float32 sums, or not many more; a longer average is a compensated sum of such sums
