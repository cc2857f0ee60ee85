"""One compiled program: many chains, many steps, on one device or many.

``vmap`` over chains and the loop over rounds stand here and nowhere else. Nothing here looks at a
clock, at a callback or at a file.
"""
