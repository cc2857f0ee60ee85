"""Kernels: what a chain carries beside its parameters, and how it makes one step.

For one chain, pure. No batches, blocks, devices, histories or exchanges.
"""
