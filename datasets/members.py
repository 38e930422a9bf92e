"""Members: who may use a dataset, and as what. A dataset always keeps an owner."""

from __future__ import annotations

from sqlalchemy import func, select

from models import ROLES, Dataset, Member, User, db


class MemberRefused(ValueError):
    """A change of members that is not made; the message says why."""


def list_members(dataset: Dataset) -> list[Member]:
    """Return the members by name."""
    query = select(Member).join(User).filter(Member.dataset_id == dataset.id).order_by(User.name)
    return list(db.session.scalars(query))


def set_role(dataset: Dataset, user: User, role: str) -> Member:
    """Make the user a member with this role, or change the role they have.

    Raises:
        MemberRefused: there is no such role, or no owner would be left.
    """
    if role not in ROLES:
        raise MemberRefused(f"Choose one of these roles: {', '.join(ROLES)}.")
    member = db.session.get(Member, (dataset.id, user.id))
    if member is None:
        member = Member(dataset_id=dataset.id, user_id=user.id, role=role)
        db.session.add(member)
        return member
    if role != "owner":
        _keep_an_owner(dataset, member)
    member.role = role
    return member


def remove(dataset: Dataset, user: User) -> None:
    """End the user's membership; no harm if they are no member.

    Raises:
        MemberRefused: they are the last owner.
    """
    member = db.session.get(Member, (dataset.id, user.id))
    if member is not None:
        _keep_an_owner(dataset, member)
        db.session.delete(member)


def _keep_an_owner(dataset: Dataset, leaving: Member) -> None:
    others = select(func.count()).select_from(Member).filter_by(dataset_id=dataset.id, role="owner")
    if leaving.role == "owner" and not db.session.scalar(others.where(Member.user_id != leaving.user_id)):
        raise MemberRefused(f"{leaving.user.name} is the last owner. Make somebody else an owner first.")
