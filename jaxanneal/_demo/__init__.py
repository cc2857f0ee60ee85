"""The command line: ``jaxanneal demo`` and ``jaxanneal info``.

Nothing imports from here.
"""
