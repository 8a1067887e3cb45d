"""Where stages run: child processes of this machine (local.py)."""
