"""What is kept: the catalog and the series of every run, on SQLite, behind small interfaces."""

from kiseki.store.database import Store, open_store
from kiseki.store.errors import StoreBusy, StoreError, StoreFull, is_full

__all__ = ["Store", "StoreBusy", "StoreError", "StoreFull", "is_full", "open_store"]
