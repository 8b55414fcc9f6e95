"""Turns a run's log into the small files under training/records/: a curve (CSV) and the validations (JSON)."""

from __future__ import annotations

import csv
import json
from pathlib import Path


def record(run: Path, out: Path, every: int = 200) -> None:
    """Writes `<out>.csv` (one row per `every` steps) and `<out>.json` (every validation, newest last), if there are
    any.
    """
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    # A resumed run repeats the steps since its last checkpoint; the later entry is the one that counts.
    curve = {r["step"]: r for r in rows if "loss" in r and r["step"] % every == 0}
    checks = {r["step"]: r["validation"] for r in rows if "validation" in r}
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.with_suffix(".csv").open("w", newline="") as f:
        names = list(dict.fromkeys(k for r in curve.values() for k in r))
        writer = csv.DictWriter(f, names)
        writer.writeheader()
        writer.writerows(curve[s] for s in sorted(curve))
    if checks:
        out.with_suffix(".json").write_text(
            json.dumps([{"step": s, **checks[s]} for s in sorted(checks)], indent=1) + "\n"
        )
