"""Sweeping what programs can use no more: codes, tokens, and the consents they hung on."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, exists

from models import AuthorizationCode, Consent, RefreshToken, Token, db, now

# A code or token that is shown again within this time after its end is still known for what it was.
KEPT = timedelta(days=1)


def sweep_rows() -> int:
    """Delete clients' codes and tokens a day past their time, and empty consents; return how many rows.

    A refresh token that was used stays until its time is over: used again, it ends its family. No commit.
    """
    old = now() - KEPT
    holders = (AuthorizationCode, RefreshToken, Token)
    is_empty = [~exists().where(table.consent_id == Consent.id) for table in holders]
    statements = (
        delete(AuthorizationCode).where(AuthorizationCode.expires_at < old),
        delete(RefreshToken).where(RefreshToken.expires_at < old),
        delete(Token).where(Token.client_id.is_not(None), Token.expires_at < old),
        delete(Consent).where(Consent.created_at < old, *is_empty),
    )
    return sum(db.session.execute(statement).rowcount for statement in statements)
