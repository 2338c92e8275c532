"""`python -m bench`: every table, one after the other."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

for module in sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)])):
    if module != "__main__":
        print(f"\n== bench.{module}")
        importlib.import_module(f"bench.{module}").main()
