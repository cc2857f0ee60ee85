"""One chain: its keys, its parameters, its energy, and one Metropolis step.

The heart of the library. Nothing here knows of other chains, of methods, or of a loop over steps.
"""
