"""Files that hold arrays: written whole or not at all, and checked when they are read.

Nothing here knows what the arrays mean.
"""
