"""Packaging of unionws; tool settings are in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "([^"]+)"', (HERE / "unionws/__init__.py").read_text("utf-8"))
assert VERSION is not None

setup(
    name="unionws",
    version=VERSION.group(1),
    description="Live cross-chain transfers and statistics for 100,000 WebSocket clients",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    author="unionws contributors",
    python_requires=">=3.10",
    packages=find_packages(include=["unionws", "unionws.*"]),
    package_data={
        "unionws": [
            "py.typed",
            "source/*.graphql",
            "source/simulator/*.json",
            "web/static/*",
            "web/static/page/*",
        ]
    },
    install_requires=[
        "tornado>=6.5.7,<7",
        "requests-futures>=1.0.1",
        "requests>=2.33",
        "urllib3>=2.7",
        "ujson>=5.13",
        "pluggy>=1.5",
        "python-json-logger>=3.3",
        "httptools>=0.6.1",
        "graphql-core>=3.2.3,<4",
        "bech32>=1.2",
        "pycryptodome>=3.19.1",
        "datasketches>=5.0.1",
        "prometheus-client>=0.20",
        "PyJWT>=2.13",
    ],
    extras_require={
        "test": [
            "pytest>=8",
            "hypothesis>=6.100",
            "ruff>=0.6",
            "mypy>=1.11",
            "types-requests",
            "types-ujson",
            "websockets>=12",
            "wsproto>=1.2",
            "cryptography>=50",
        ],
        "jwt": ["cryptography>=50"],
        "uvloop": ["uvloop>=0.19"],
    },
    zip_safe=False,
    entry_points={"console_scripts": ["unionws = unionws.cli:main"]},
)
