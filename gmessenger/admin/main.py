"""The entry point of `gmessenger-admin`, which patches the standard library: the store runs on gevent."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    from gmessenger.patch import patch_all

    patch_all()
    from gmessenger.admin.start import run

    return run(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
