"""`gmessenger-server`: the entry point, where the standard library is patched before anything else is imported."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until it is told to stop; returns its exit code."""
    from gevent import monkey

    monkey.patch_all()
    from gmessenger.server.start import run

    return run(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
