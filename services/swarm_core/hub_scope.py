"""What a Hugging Face token may do, from the Hub's answer to `GET /api/whoami-v2`: pure, used by page and worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def may_write(answer: Mapping[str, Any]) -> bool:
    """Whether the token of a whoami answer may create a repository of its user and push to it.

    A fine-grained token needs `repo.write` on the user's own namespace.
    """
    token = answer.get("auth", {}).get("accessToken", {})
    role = token.get("role")
    if role == "fineGrained":
        scopes = token.get("fineGrained", {}).get("scoped", [])
        return any(
            scope.get("entity", {}).get("name") == answer.get("name") and "repo.write" in scope.get("permissions", [])
            for scope in scopes
        )
    return bool(role == "write")
