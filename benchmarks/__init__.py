"""Measurements: `make bench`. Results are ratios against hand-written code in the same process."""
