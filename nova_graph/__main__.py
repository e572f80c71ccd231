"""`python -m nova_graph`, and the command `nova-graph`."""

import sys

CANCELLED = 130


def main() -> None:
    """Run the command line; Ctrl-C before a command has begun ends quietly too."""
    try:
        from nova_graph.cli.app import app

        app()
    except KeyboardInterrupt:
        sys.exit(CANCELLED)


if __name__ == "__main__":
    main()
