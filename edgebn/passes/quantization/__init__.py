"""A float32 program to int8: what calibration sees, ranges, weights, and what stays float32."""
