"""The HTTP service: graphs come in, pictures go out, nothing accepted is lost."""
