"""Users and their tokens."""

from __future__ import annotations

import os
from datetime import timedelta

import click

from commands import OpenApp
from models import User, db, now
from web import auth, tokens


@click.command("create-user")
@click.argument("name")
@click.option("--admin", is_flag=True, help="May do everything, on every dataset.")
@click.pass_obj
def create_user(open_app: OpenApp, name: str, admin: bool) -> None:
    """Make a user; the password comes from PIGEONHOLE_PASSWORD, or is asked."""
    name = auth.clean_user_name(name)
    with open_app().app_context():
        if auth.find_user(name):
            raise click.ClickException(f"There is a user {name} already.")
        db.session.rollback()  # asking and hashing take long, and nobody waits for them
        password = os.environ.get("PIGEONHOLE_PASSWORD")
        password = password or click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        user = User(name=name, password_hash=auth.hash_password(password), is_admin=admin)
        db.session.add(user)
        db.session.commit()
        click.echo(f"Made the user {user.name}.")


@click.command()
@click.argument("name")
@click.option("--scopes", default="read write train predict", help="What the token may do.")
@click.pass_obj
def token(open_app: OpenApp, name: str, scopes: str) -> None:
    """Print a new personal token of a user, and nothing else."""
    with open_app().app_context() as context:
        user = auth.find_user(name)
        if user is None:
            raise click.ClickException(f"There is no user {name}.")
        days = context.app.config["PIGEONHOLE"].token_days
        try:
            _, text = tokens.make_token(user, "command line", scopes.split(), now() + timedelta(days=days))
        except ValueError as error:
            raise click.ClickException(str(error)) from error
        db.session.commit()
        click.echo(text)
