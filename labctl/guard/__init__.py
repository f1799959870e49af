"""The guard: a process of its own that ends a daemon which does not move any more, and makes its instruments safe."""
