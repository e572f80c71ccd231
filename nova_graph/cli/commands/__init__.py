"""What each command does; app.py says how it is called."""
