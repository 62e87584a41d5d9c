"""Real numbers as integers, and TensorFlow Lite Micro's own arithmetic. Knows numbers only."""
