// Predict with fetch in Node 18 or newer: one image, many, bare bytes.
//   node predict.mjs flowers photo.jpg another.jpg
import { readFile } from "node:fs/promises";

const [dataset, ...paths] = process.argv.slice(2);
const address = `${process.env.PIGEONHOLE_URL}/api/v1/datasets/${dataset}/predict`;
const sign = { Authorization: `Bearer ${process.env.PIGEONHOLE_TOKEN}` };

async function ask(body, headers = {}) {
  const answer = await fetch(address, { method: "POST", headers: { ...sign, ...headers }, body });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error.message);
  return said;
}

const photos = await Promise.all(paths.map((path) => readFile(path)));
const form = new FormData();
photos.forEach((photo, place) => form.append("image", new Blob([photo]), paths[place]));

const many = await ask(form);
for (const answer of many.predictions ?? [many]) console.log(answer.label ?? answer.error);

const bare = await ask(photos[0], { "Content-Type": "image/jpeg" });
console.log(bare.label, bare.probabilities[0].probability);
