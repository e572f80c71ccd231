"""The same application in Modal containers: what runtime_modal.py decorates, and what talks to it from outside."""
