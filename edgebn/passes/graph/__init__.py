"""The network rewritten: quantisation read, channels last, canonical form. Graphs in, graphs out."""
