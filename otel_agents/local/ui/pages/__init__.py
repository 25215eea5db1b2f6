"""One module a page: what it reads, what its template gets."""

from __future__ import annotations
