"""Can a run be trusted? Rates, convergence, and what ``Result.check`` says.

Nothing here runs a chain: it reads states and histories.
"""
