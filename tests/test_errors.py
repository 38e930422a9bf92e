"""Errors: a page for a person, one shape for a program."""

from __future__ import annotations


def test_a_stranger_is_sent_to_the_login_and_back(client, dataset):
    answer = client.get("/datasets/flowers/")
    assert answer.status_code == 302
    assert answer.location == "/login?next=/datasets/flowers/"


def test_a_dataset_of_others_is_not_there(client, sign_in, dataset, charlie):
    assert sign_in(client, charlie).get("/datasets/flowers/").status_code == 404


def test_the_owner_sees_the_dataset(client, sign_in, dataset, alice):
    answer = sign_in(client, alice).get("/datasets/flowers/")
    assert answer.status_code == 200
    assert "Flowers" in answer.text
