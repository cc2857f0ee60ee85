"""Ladders of temperatures: who is at which rung, swaps, adaptation, and free energies.

Pure functions of labels and energies. Nothing here knows the parameters of a replica.
"""
