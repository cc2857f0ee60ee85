"""Benchmarks: the one way to get a number that the documentation quotes."""
