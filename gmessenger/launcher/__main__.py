"""Run `python -m gmessenger.launcher`, which is `launcher.py` itself, or one of its helper processes."""

from gmessenger.launcher.main import run

if __name__ == "__main__":
    run()
