"""Typed node graphs for SDXL anime images: the application."""
