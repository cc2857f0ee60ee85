"""Descent by gradients from the best states of a run.

Nothing here anneals.
"""
