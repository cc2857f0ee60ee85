"""Many configurations as few programs: ``ja.sweep``.

Each run of a sweep is the run that ``anneal`` would make. Nothing here says how a chain moves.
"""
