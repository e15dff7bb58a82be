"""Which writers make one lane, and in which order: a writer and those that resume it."""

from __future__ import annotations

from collections.abc import Iterable

from .kinds import DATA_ROLES, Header


def order_lanes(headers: Iterable[Header]) -> list[list[Header]]:
    """The writers by lane: the primary lane first, then as they began; in a lane, who resumes comes later."""
    known = {header.writer: header for header in headers}

    def generation(header: Header) -> int:
        count, seen = 0, {header.writer}
        while header.resumes in known and header.resumes not in seen:
            seen.add(header.resumes)
            header = known[header.resumes]
            count += 1
        return count

    lanes: dict[str, list[Header]] = {}
    for header in known.values():
        lanes.setdefault(header.lane, []).append(header)
    for lane in lanes.values():
        lane.sort(key=lambda header: (generation(header), header.wall_ns, header.writer))
    # Lanes that never hold rows (a server's edits) come last, so that the others are numbered without gaps.
    return sorted(
        lanes.values(),
        key=lambda lane: (lane[0].role not in DATA_ROLES, not lane[0].primary, lane[0].wall_ns, lane[0].lane),
    )
