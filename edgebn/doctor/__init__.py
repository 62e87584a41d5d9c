"""What `edgebn doctor` finds out: the machine, whether every kernel gives the recorded bytes on it, and how fast it is."""
