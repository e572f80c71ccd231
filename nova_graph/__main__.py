"""`python -m nova_graph`, and the command `nova-graph`."""


def main() -> None:
    """Run the command line."""
    from nova_graph.cli.app import app

    app()


if __name__ == "__main__":
    main()
