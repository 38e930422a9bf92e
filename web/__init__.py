"""HTTP: pages for people, JSON for programs."""

from __future__ import annotations

from flask import Flask
from flask_bootstrap import Bootstrap5

from web import access, auth, errors, formats, security
from web.answers import find_faulty_live
from web.api import additions as api_additions
from web.api import advice as api_advice
from web.api import changes as api_changes
from web.api import datasets as api_datasets
from web.api import description, frame
from web.api import feedback as api_feedback
from web.api import imports as api_imports
from web.api import items as api_items
from web.api import labels as api_labels
from web.api import live as api_live
from web.api import members as api_members
from web.api import mistakes as api_mistakes
from web.api import predict as api_predict
from web.api import runs as api_runs
from web.api import tokens as api_tokens
from web.api import users as api_users
from web.api import versions as api_versions
from web.api import webhooks as api_webhooks
from web.doors import datasets as door_datasets
from web.doors import fastimage, kerasui
from web.doors import items as door_items
from web.oauth import routes as oauth_routes
from web.pages import (
    account,
    admin,
    advice,
    batches,
    bokehjs,
    calibrations,
    called,
    clients,
    comparisons,
    datasets,
    health,
    home,
    images,
    imports,
    items,
    jobs,
    labels,
    lists,
    live,
    members,
    metrics,
    mistakes,
    oauth,
    predict,
    reference,
    runs,
    samples,
    thresholds,
    uploaded,
    versions,
    webhooks,
)

PAGES = (
    home,
    account,
    admin,
    datasets,
    advice,
    items,
    labels,
    members,
    imports,
    lists,
    runs,
    samples,
    uploaded,
    jobs,
    versions,
    calibrations,
    thresholds,
    mistakes,
    called,
    live,
    comparisons,
    bokehjs,
    health,
    metrics,
    images,
    predict,
    batches,
    reference,
    oauth,
    clients,
    webhooks,
)
API = (
    *(api_datasets, api_labels, api_items, api_additions, api_imports, api_changes),
    *(api_runs, api_versions, api_live, api_mistakes, api_predict, api_feedback),
    *(api_members, api_tokens, api_users),
    api_webhooks,
    api_advice,
)
DOORS = (kerasui, door_datasets, door_items, fastimage)


def register(app: Flask) -> None:
    """Give `app` its pages, its API, its error pages and its safety."""
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    Bootstrap5(app)
    auth.register(app)
    errors.register(app)
    security.register(app)
    formats.register(app)
    for module in PAGES:
        app.register_blueprint(module.blueprint)
    security.csrf.exempt(oauth_routes.blueprint)
    app.register_blueprint(oauth_routes.blueprint)
    app.register_blueprint(description.blueprint)
    frame.register(app, tuple(module.blueprint for module in API))
    for module in API:
        security.csrf.exempt(module.blueprint)
    for module in DOORS:
        security.csrf.exempt(module.blueprint)
        app.register_blueprint(module.blueprint)
    app.jinja_env.globals["can"] = access.can
    app.jinja_env.globals["find_faulty_live"] = find_faulty_live
