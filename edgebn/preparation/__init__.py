"""From pictures and sounds to a network's inputs, and from its outputs to answers. Everything is imported where it is used."""
