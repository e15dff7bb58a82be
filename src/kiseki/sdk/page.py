"""Where a run can be seen: the address of its page on the server that is named, or on this user's own."""

from __future__ import annotations

from kiseki.system.owner import read_owner
from kiseki.system.paths import store_dir


def page_url(base_url: str | None, path: str) -> str | None:
    """Address of the page of run `entity/project/id`; None where there is no server."""
    base = base_url or _own_server()
    if not base:
        return None
    from urllib.parse import quote

    entity, project, run_id = (quote(part, safe="") for part in path.split("/"))
    return f"{base.rstrip('/')}/{entity}/{project}/runs/{run_id}"


def _own_server() -> str | None:
    try:
        owner = read_owner(store_dir())
    except OSError:
        return None
    return owner.url if owner is not None and owner.url else None
