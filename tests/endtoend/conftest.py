"""The campaigns of tools/campaign are run from here in small."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools" / "campaign"))
