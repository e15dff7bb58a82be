"""`kiseki show --system`: what was measured beside a run, from a server, the store, or its files."""

from __future__ import annotations

import math
import re
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from kiseki.cli.output import print_json, print_table

_DIGITS = 5
_DEVICES = ("cpu", "memory", "gpu", "process", "disk", "network")


def show_system(run: str, folder: Path | None, *, as_json: bool) -> None:
    """Print the system stream of the run at this path, or of the run directory `folder`."""
    if folder is not None:
        document = local_system(folder)
    else:
        from kiseki.client.api import Api

        document = Api().run(run).system()
    if as_json:
        print_json(document)
    else:
        _print(document)


def local_system(folder: Path) -> dict[str, Any]:
    """What the run's own files say, under the names that the server's answer uses."""
    from kiseki.records.directory import host_of, lane_rows
    from kiseki.records.kinds import SYSTEM_STREAM
    from kiseki.records.measures import measure_of

    lanes: list[dict[str, Any]] = []
    values: dict[str, list[tuple[float, int, Any]]] = {}
    for header, rows in lane_rows(folder, SYSTEM_STREAM):
        lanes.append({"lane": len(lanes), "label": host_of(header), "id": header.lane})
        for step, row in rows.items():
            for key, value in row.items():
                if key not in ("_runtime", "_timestamp"):
                    values.setdefault(key, []).append((row["_timestamp"], step, value))
    metrics = [
        {"key": key, **_statistics([(step, value) for _, step, value in sorted(values[key], key=_time)])}
        | measure_of(key)._asdict()
        for key in sorted(values)
    ]
    return {"metrics": metrics, "lanes": lanes}


def _time(point: tuple[float, int, Any]) -> float:
    return point[0]


def _statistics(points: list[tuple[int, Any]]) -> dict[str, Any]:
    types = {type(value) for _, value in points}
    numbers = [float(value) for _, value in points if isinstance(value, (bool, int, float))]
    finite = [value for value in numbers if math.isfinite(value)]
    return {
        "type": "f64" if types == {float} else "i64" if types == {int} else "any",
        "count": len(finite),
        "nan": sum(map(math.isnan, numbers)),
        "pinf": numbers.count(math.inf),
        "ninf": numbers.count(-math.inf),
        "min": min(finite, default=None),
        "max": max(finite, default=None),
        "last": finite[-1] if finite else None,
        "step_min": min(step for step, _ in points),
        "step_max": max(step for step, _ in points),
    }


def _print(document: dict[str, Any]) -> None:
    metrics = document["metrics"]
    if not metrics:
        click.echo("Nothing was measured beside this run: it was too short, or sampling was off.")
        return
    hosts = list(dict.fromkeys(lane["label"] for lane in document["lanes"] if lane["label"]))
    if hosts:
        click.echo(f"measured on {', '.join(hosts)}")
    by_device = sorted(metrics, key=_place)
    rows = []
    for device, of_device in groupby(by_device, key=lambda metric: str(metric["device"])):
        rows += [[click.style(device.replace(".", " "), bold=True), "", "", "", "", ""]]
        rows += [_row(metric) for metric in of_device]
    print_table(("", "last", "min", "max", "unit", "samples"), rows)


def _place(metric: dict[str, Any]) -> tuple[int, list[Any], list[Any]]:
    """By device, then by key; numbers in them by their size."""
    device = str(metric["device"])
    kind = device.partition(".")[0]
    order = _DEVICES.index(kind) if kind in _DEVICES else len(_DEVICES)
    return order, _natural(device), _natural(str(metric["key"]))


def _natural(text: str) -> list[Any]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text)]


def _row(metric: dict[str, Any]) -> list[str]:
    figures = [_figure(metric[name]) for name in ("last", "min", "max")]
    return [f"  {metric['key']}", *figures, metric["unit"], str(metric["count"])]


def _figure(value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:,.0f}" if abs(value) >= 10**_DIGITS else f"{value:.{_DIGITS}g}"
