"""The service over HTTP: graphs in, pictures out; checks and plans here, computes elsewhere."""
