"""`gmessenger-admin`: the entry point, where the standard library is patched as the store needs it."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one thing and return its exit code."""
    from gevent import monkey

    monkey.patch_all()
    from gmessenger.admin.start import run

    return run(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
