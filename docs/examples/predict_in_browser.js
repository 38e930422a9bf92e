// Predict from a page of your own.
//
// The page holds <input type="file" id="photo" accept="image/*">, <p id="answer" role="status"> and
// <script type="module" src="predict_in_browser.js">.
//
// The page must lie on an origin that the server's setting `cors_origins` names. A token in a page is everybody's:
// ask a dataset whose predictions are public, or let people sign in with OAuth2.
const ADDRESS = "http://127.0.0.1:5000/api/v1/datasets/flowers/predict";

export async function predict(file, token) {
  const headers = { "Content-Type": file.type };
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(ADDRESS, { method: "POST", headers, body: file });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error.message);
  return said;
}

document.querySelector("#photo")?.addEventListener("change", async ({ target }) => {
  const place = document.querySelector("#answer");
  try {
    const { label, probabilities } = await predict(target.files[0]);
    place.textContent = label ? `${label}, ${Math.round(100 * probabilities[0].probability)} %` : "None of the labels";
  } catch (error) {
    place.textContent = error.message;
  }
});
