"""The ways to train as the train page offers them: a small module and a template each.

A module here has

    TITLE, WORDS                    its name and a sentence or two, for a person
    TEMPLATE                        the fields of its form, in templates/runs/recipes/
    refusal(dataset) -> str | None  why it can't be chosen here; None where it can
    facts(dataset) -> dict          what its template shows beside the values
    read(dataset, form, files) -> dict
                                    `backbone` and the recipe's other settings as the form gives them;
                                    raises FormRefused({field: message}), shown at the fields

and stands in web/recipes/offered.py under the recipe's name. The template gets `form` (a fields.Form),
`facts` and `dataset`.
"""
