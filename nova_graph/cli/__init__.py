"""The command line: flags from a graph's inputs, renderings of the event stream, and one small module per command."""
