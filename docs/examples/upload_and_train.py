"""From a folder of labelled photos to predictions, with the client (pigeonhole.py beside this file).

python upload_and_train.py "Flowers" photos/ photo.jpg
"""

import os
import sys

from pigeonhole import Pigeonhole, PigeonholeError

name, folder, photo = sys.argv[1:]
pigeonhole = Pigeonhole(os.environ["PIGEONHOLE_URL"], os.environ["PIGEONHOLE_TOKEN"])

try:
    slug = pigeonhole.make_dataset(name)["slug"]
    report = pigeonhole.add_images(slug, folder)  # the folders in it are the labels
    for file in report["refused"]:
        print(f"{file['file']} was not taken: {file['message']}")
    run = pigeonhole.train(slug)
    answer = pigeonhole.predict(slug, photo)
except PigeonholeError as error:
    sys.exit(str(error))

best = answer["probabilities"][0]
print(f"Version {run['version']} says {best['label']}, with a probability of {best['probability']:.0%}.")
pigeonhole.feedback(answer, correct=True)
