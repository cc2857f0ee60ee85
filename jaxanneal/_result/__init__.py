"""What a run returns: its summary, its file, its tables for other libraries.

Nothing here runs a chain.
"""
