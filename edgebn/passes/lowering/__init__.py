"""Layers of a canonical graph to steps of a program: float32 layers, layers on codes, and the records of both."""
