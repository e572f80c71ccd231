"""The torch kernels of SDXL as plain functions, and what they load from."""
