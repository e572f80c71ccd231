"""Measure nova-nano: probes that have only ever seen renders judge pictures that nova-graph's own nodes drew."""
