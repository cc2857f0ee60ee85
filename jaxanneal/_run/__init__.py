"""One call of ``anneal``: its problem, its calibration, the loop on the host, its end.

Signals, clocks, callbacks, progress and checkpoints stand here. Nothing here runs on a device: that
is ``_engine``.
"""
