"""A control plane of Modal for tests, on loopback.

The real client talks to it and the real container entrypoint runs under it: apps, functions, calls, images, volumes,
secrets and dicts are answered by one small class per noun, containers are processes of this machine, and volumes are
folders. Nothing of Modal's cloud is imitated beyond what a client can see.
"""
