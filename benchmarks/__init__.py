"""Benchmarks: what labctl costs, each against what it replaces, interleaved in one run; they judge nothing."""
