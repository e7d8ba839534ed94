"""Tests of gmessenger; `ROOT` is the checkout that holds them."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
