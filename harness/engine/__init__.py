"""Where stages run: this machine (local.py), or a Ray cluster (ray.py; only here: ray)."""
