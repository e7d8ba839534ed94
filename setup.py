"""Metadata and entry points; the build system and the tools are configured in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "gmessenger/__init__.py").read_text("utf-8"))[1]
# Upper bounds where private API is used: redis-py's parser, gevent's queues, HTTP server and patching, the layout of
# prompt_toolkit, a collector of prometheus-client.
# `make` installs the versions of the lock files, which `make lock` writes from these ranges.
CLUSTER = ["psycopg[binary]>=3.3", "redis[hiredis]>=8,<9"]
# Manual pages and completion scripts: their folder here, and below share/ of an installation.
SHARED = {
    "docs/man": "man/man1",
    "config/completion/bash": "bash-completion/completions",
    "config/completion/zsh": "zsh/site-functions",
    "config/completion/fish": "fish/vendor_completions.d",
}

setup(
    name="gmessenger",
    version=VERSION,
    description="A chat server that keeps every message it has acknowledged, and a terminal client",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["gmessenger", "gmessenger.*"]),
    package_data={"gmessenger": ["py.typed", "*.txt", "terminal/locale/*/LC_MESSAGES/*.mo", "web/*", "web/words/*"]},
    data_files=[
        (f"share/{target}", [str(file.relative_to(HERE)) for file in sorted((HERE / source).iterdir())])
        for source, target in SHARED.items()
    ],
    install_requires=[
        "gevent>=25.9,<27",
        "msgspec>=0.20",
        "ConfigArgParse>=1.7",
        'unicodedataplus>=16; python_version < "3.14"',  # later Pythons have these tables, and no wheel
        "argon2-cffi>=25.1",
        "cryptography>=44",
        "prometheus-client>=0.24,<0.27",
        "shtab>=1.7",
        "h11>=0.16",
        "rjsmin>=1.2",
        "websockets>=15,<18",  # its protocol without input and output
        "prompt_toolkit>=3.0.52,<3.1",
        "wcwidth>=0.5",
    ],
    extras_require={
        "cluster": CLUSTER,
        "test": [
            *CLUSTER,
            *("pytest>=9", "pytest-timeout>=2.4", "pytest-xdist>=3.8", "hypothesis>=6.150", "trustme>=1.2"),
            "Babel>=2.17",
            "pyte>=0.8.2",
            "pyseccomp>=0.1.2,<1",
        ],
        "fuzz": ['atheris>=3.0,<3.1; python_version < "3.12"', 'atheris>=3.1; python_version >= "3.12"'],
        "lint": ["ruff>=0.17", "mypy>=2.0", "types-gevent>=25"],
    },
    entry_points={
        "console_scripts": [
            "gmessenger-server = gmessenger.server.main:main",
            "gmessenger-client = gmessenger.terminal.main:main",
            "gmessenger-admin = gmessenger.admin.main:main",
        ],
    },
    classifiers=[
        "Environment :: Console",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.13",
        "Topic :: Communications :: Chat",
        "Typing :: Typed",
    ],
)
