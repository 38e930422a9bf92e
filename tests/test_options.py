"""Options: checked alike whether a form, a YAML file, JSON or the command line gives them."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from learning import choices, options, settings_text
from learning.options import OptionRefused, check
from learning.settings_text import read_yaml, write_yaml


def test_defaults_fill_what_was_not_given():
    chosen = check("fine-tune", {"minutes": "2", "flip": ""})
    assert chosen["minutes"] == 2
    assert chosen["flip"] == choices.OPTIONS["flip"].default
    assert set(chosen) == set(options.of("fine-tune"))


def test_every_default_passes_its_own_check():
    for recipe in choices.RECIPES:
        assert check(recipe, check(recipe, {})) == check(recipe, {})


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(OptionRefused, match="'epoch'") as refused:
        check("fine-tune", {"epoch": 3})
    assert refused.value.field == "epoch"


def test_an_option_of_another_recipe_is_refused():
    with pytest.raises(OptionRefused, match="quick"):
        check("quick", {"minutes": 3})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("epochs", value) for value in (0, "1.5", "many", True, [3], "nan", "9" * 400, {"a": 1})],
        *[("minutes", value) for value in (-1, "inf", "x" * 10_000)],
        *[("learning_rate", value) for value in ("Auto", 0, ["auto"])],
        *[("flip", value) for value in ("vertical", 3, ["none"])],
        ("class_weights", "perhaps"),
        ("backbone", "../../etc/passwd"),
    ],
)
def test_a_value_that_cannot_be_is_refused_at_its_field(name, value):
    with pytest.raises(OptionRefused) as refused:
        check("fine-tune", {name: value})
    assert refused.value.field == name
    assert len(str(refused.value)) < 400


def test_a_number_may_be_a_word_where_that_is_allowed():
    assert check("fine-tune", {"learning_rate": "auto"})["learning_rate"] == "auto"


def test_settings_come_back_from_yaml_as_they_were():
    chosen = check("fine-tune", {"learning_rate": 0.003, "mixed_precision": "off", "class_weights": "on"})
    recipe, given = read_yaml(write_yaml({**chosen, "recipe": "fine-tune", "backbones": "/somewhere"}))
    assert (recipe, check(recipe, given)) == ("fine-tune", chosen)


def test_yaml_words_for_true_and_false_still_choose():
    recipe, given = read_yaml("recipe: fine-tune\nmixed_precision: off\nclass_weights: yes\n")
    chosen = check(recipe, given)
    assert (chosen["mixed_precision"], chosen["class_weights"]) == ("off", True)


@pytest.mark.parametrize(
    "text",
    [
        "- a",
        "a: [",
        "recipe: magic",
        "recipe: [quick]",
        "1: 2",
        "!!python/object/apply:os.system [id]",
        "x" * 200_000,
    ],
)
def test_a_text_that_is_no_list_of_settings_is_refused(text):
    with pytest.raises(OptionRefused):
        read_yaml(text)


def bomb(name: str) -> str:
    """YAML whose value, written out, has a thousand million parts."""
    levels = [f"&{chr(98 + level)} [{', '.join(['*' + chr(97 + level)] * 9)}]" for level in range(10)]
    return f"{name}: [&a [x], {', '.join(levels)}]"


@pytest.mark.parametrize(
    "text",
    [
        *("seed: 0x" + "F" * 20_000, "seed: 0b" + "1" * 20_000, "recipe: 0x" + "F" * 20_000),
        *(
            "seed: " + ":".join(["59"] * 400) + ".5",
            "seed: !!timestamp x",
            "seed: !!bool x",
            "seed: !!int ''",
        ),
        *("&a seed: *a", "seed: &a [*a]", "backbone: &a {b: *a}", "recipe: &a [*a]", "seed: " + "[" * 5_000),
        *(bomb("seed"), bomb("backbone"), bomb("recipe"), "seed: !!python/name:os.system", "? [a]\n: 1"),
    ],
    ids=lambda text: text[:20],
)
def test_yaml_that_lies_or_swells_is_refused_in_few_words(text):
    with pytest.raises(OptionRefused) as refused:
        check(*read_yaml(text))
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize("value", [2**20_000, [1], {"a": 1}, 2.5], ids=["huge", "list", "dict", "half"])
def test_a_switch_takes_no_other_values(value):
    with pytest.raises(OptionRefused, match="true or false"):
        check("fine-tune", {"mixup": 0, "flip": "none", "class_weights": value})


def test_the_command_line_names_every_option():
    parser = argparse.ArgumentParser()
    settings_text.add_arguments(parser)
    given = settings_text.given_in(parser.parse_args(["--label-smoothing", "0.2", "--minutes", "3"]))
    assert given == {"label_smoothing": "0.2", "minutes": "3"}
    assert "label-smoothing" in parser.format_help()


def test_every_option_of_fine_tune_is_in_the_handbook_with_its_default():
    page = (Path(__file__).parents[1] / "docs" / "training.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    assert rows.keys() == options.of("fine-tune").keys()
    for name, option in options.of("fine-tune").items():
        assert f"| {str(option.default).lower()} |" in rows[name]
        assert option.words in rows[name]


def test_the_quick_recipe_refuses_a_network_that_knows_nothing():
    with pytest.raises(OptionRefused, match="small-cnn"):
        check("quick", {"backbone": "small-cnn"})
