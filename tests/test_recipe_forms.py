"""The train page's forms: every option of a recipe, errors at the field, values kept."""

from __future__ import annotations

import re

import pytest
import yaml
from sqlalchemy import select

from jobs import runs, training
from learning import choices, options, settings_text
from models import Run, db
from tests.teaching import finish, start, teach
from web.recipes import fields

RUNS = "/datasets/flowers/runs/"


@pytest.fixture
def owner(client, sign_in, alice, dataset):
    """A browser in which alice is signed in; the dataset has photos."""
    teach(dataset)
    return sign_in(client, alice)


def field(page: str, name: str) -> str:
    """The tag of the field of that name."""
    return re.search(rf'<(input|select)[^>]* name="{name}"[^>]*>', page).group()


def value_of(page: str, name: str) -> str:
    return re.search(r'value="([^"]*)"', field(page, name)).group(1)


@pytest.mark.parametrize("recipe", ["quick", "fine-tune"])
def test_every_option_of_a_recipe_has_a_field_with_its_words(owner, recipe):
    page = owner.get(f"{RUNS}?recipe={recipe}").text
    for name, option in options.of(recipe).items():
        assert f'for="{name}">{option.title}' in page
        assert f'aria-describedby="{name}-hint"' in field(page, name)


def test_a_run_is_started_with_what_the_form_says(owner):
    sent = {"recipe": "fine-tune", "backbone": "efficientnet-lite2", "minutes": "2.5", "class_weights": "yes"}
    assert owner.post(RUNS, data=sent).status_code == 303
    run = db.session.scalars(select(Run)).one()
    assert (run.recipe, run.backbone) == ("fine-tune", "efficientnet-lite2")
    kept = runs.read_settings(training.folder_of(run))
    assert (kept["minutes"], kept["class_weights"], kept["recipe"]) == (2.5, True, "fine-tune")
    assert kept["patience"] == choices.OPTIONS["patience"].default


def test_all_errors_are_shown_at_their_fields_and_what_was_typed_is_kept(owner):
    sent = {"recipe": "fine-tune", "minutes": "many", "rotate": "200", "zoom": "0.3", "class_weights": "yes"}
    answer = owner.post(RUNS, data=sent)
    assert answer.status_code == 422
    for name, typed in (("minutes", "many"), ("rotate", "200")):
        assert 'aria-invalid="true"' in field(answer.text, name)
        assert value_of(answer.text, name) == typed
    assert value_of(answer.text, "zoom") == "0.3"
    assert "checked" in field(answer.text, "class_weights")
    assert "Must be a number from 0.1" in answer.text
    assert db.session.scalar(select(Run)) is None


def test_an_error_under_what_most_leave_alone_is_not_folded_away(owner):
    assert "<details" in owner.get(f"{RUNS}?recipe=fine-tune").text
    page = owner.post(RUNS, data={"recipe": "fine-tune", "patience": "-1"}).text
    assert re.search(r"<details[^>]* open>", page)


def test_a_switch_that_was_on_by_default_can_be_turned_off():
    switch = choices.Option("switch", True, "A switch", "", ("quick",))
    assert fields.Form({}).is_on("any", switch)
    assert not fields.Form({"recipe": "quick"}).is_on("any", switch)


def test_settings_of_an_earlier_run_fill_the_form(owner):
    owner.post(RUNS, data={"recipe": "fine-tune", "minutes": "7", "class_weights": "yes"})
    run = db.session.scalars(select(Run)).one()
    page = owner.get(f"{RUNS}?recipe=fine-tune&from={run.folder}").text
    assert value_of(page, "minutes") == "7"
    assert "checked" in field(page, "class_weights")
    assert owner.get(f"{RUNS}?recipe=fine-tune&from=nothing").status_code == 404


def test_a_run_can_be_started_again_with_the_same_settings(owner, dataset):
    first = start(dataset)
    finish(first)
    assert "Train again with these settings" in owner.get(f"{RUNS}{first.folder}").text
    answer = owner.post(f"{RUNS}{first.folder}/again")
    assert answer.status_code == 303
    second = db.session.scalars(select(Run).order_by(Run.id.desc())).first()
    assert answer.location == f"{RUNS}{second.folder}"
    assert (second.recipe, second.backbone, second.settings) == (first.recipe, first.backbone, first.settings)


def test_a_run_whose_model_was_uploaded_is_not_started_again(owner, dataset):
    run = start(dataset)
    run.recipe, run.job.state = "uploaded", "failed"
    answer = owner.post(f"{RUNS}{run.folder}/again")
    assert answer.status_code == 409
    assert "Upload the model again" in answer.text


def test_the_settings_file_repeats_the_run(owner):
    owner.post(RUNS, data={"recipe": "fine-tune", "minutes": "7"})
    run = db.session.scalars(select(Run)).one()
    answer = owner.get(f"{RUNS}{run.folder}/run.yaml")
    assert "attachment" in answer.headers["Content-Disposition"]
    recipe, given = settings_text.read_yaml(answer.text)
    assert options.check(recipe, given) == {"backbone": run.backbone, **run.settings}
    assert str(training.folder_of(run).parent) not in answer.text
    assert yaml.safe_load(answer.text)["recipe"] == "fine-tune"


def test_a_runs_charts_come_as_data_and_no_other_does(owner, dataset):
    run = start(dataset)
    for which in ("loss", "metric", "rates"):
        assert set(owner.get(f"{RUNS}{run.folder}/charts/{which}.json").json) == {"light", "dark"}
    assert owner.get(f"{RUNS}{run.folder}/charts/secrets.json").status_code == 404


def test_a_recipe_that_is_none_is_refused_by_name(owner):
    assert owner.get(f"{RUNS}?recipe=magic").status_code == 422
