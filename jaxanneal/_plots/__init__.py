"""The figures of a result.

matplotlib is imported here and nowhere else, inside of the functions that draw.
"""
