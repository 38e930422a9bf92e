"""What most tutorials show: a Flask page that calls `model.predict` for every request. Only to compare with.

python -m benchmarks.tutorial MODEL.keras PORT
"""

from __future__ import annotations

import io
import sys

import keras
import numpy as np
from flask import Flask, jsonify, request
from PIL import Image

app = Flask(__name__)
model = keras.models.load_model(sys.argv[1], compile=False)
size = model.input_shape[1]


@app.post("/predict")
def predict():
    """Decode, resize, predict, answer."""
    image = Image.open(io.BytesIO(request.files["image"].read())).convert("RGB").resize((size, size))
    scores = model.predict(np.asarray(image, np.float32)[np.newaxis], verbose=0)[0]
    return jsonify(label=int(scores.argmax()), scores=scores.tolist())


if __name__ == "__main__":
    app.run(port=int(sys.argv[2]))
