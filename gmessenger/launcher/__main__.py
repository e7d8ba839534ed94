"""`python -m gmessenger.launcher`: what `launcher.py` runs, and its helper processes."""

from gmessenger.launcher.main import run

if __name__ == "__main__":
    run()
