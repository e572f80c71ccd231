"""The node library: one declaration per file, free of torch."""
