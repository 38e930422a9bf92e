"""Predict with `requests` alone: one image, many, bare bytes, base64.

python predict.py flowers photo.jpg another.jpg
"""

import base64
import os
import sys
from pathlib import Path

import requests

URL = os.environ["PIGEONHOLE_URL"]
SIGN = {"Authorization": f"Bearer {os.environ['PIGEONHOLE_TOKEN']}"}


def ask(dataset: str, **options) -> dict:
    """Send one request and return the answer; what is refused is said in its own words."""
    answer = requests.post(f"{URL}/api/v1/datasets/{dataset}/predict", timeout=60, **options)
    if not answer.ok:
        sys.exit(answer.json()["error"]["message"])
    return answer.json()


dataset, *paths = sys.argv[1:]
photos = [Path(path) for path in paths]
first = photos[0].read_bytes()

one = ask(dataset, headers=SIGN, files={"image": first})
print(one["label"], one["probabilities"][0]["probability"])

many = ask(dataset, headers=SIGN, files=[("image", (photo.name, photo.read_bytes())) for photo in photos])
for photo, answer in zip(photos, many.get("predictions", [many]), strict=True):
    print(photo.name, answer.get("label") or answer.get("error"))

bare = ask(dataset, headers={**SIGN, "Content-Type": "image/jpeg"}, data=first)
encoded = ask(dataset, headers=SIGN, json={"image": base64.b64encode(first).decode()})
assert bare["label"] == encoded["label"] == one["label"]
