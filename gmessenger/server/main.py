"""`gmessenger-server`: the entry point, which patches the standard library before any import."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until it is stopped; return its exit code."""
    from gmessenger.patch import patch_all

    patch_all()
    from gmessenger.server.start import run

    return run(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
