// Draws Bokeh charts from the data in the page (or behind an address) in the colours of the theme.
//
// <script type="application/json" class="chart">{"light": item, "dark": item}</script>
// <div data-chart="/address/of/the/same.json"></div>

const drawn = new Map(); // element -> {items, theme, views}
const latest = new Map(); // name of a source -> its newest columns

function currentTheme() {
  return document.documentElement.dataset.bsTheme === "dark" ? "dark" : "light";
}

async function draw(element) {
  const chart = drawn.get(element);
  const theme = currentTheme();
  if (chart.theme === theme) return;
  chart.theme = theme;
  chart.views?.clear();
  element.replaceChildren();
  chart.views = await globalThis.Bokeh.embed.embed_item(structuredClone(chart.items[theme]), element);
  openCellsOnTap(chart.views);
  latest.forEach((columns, name) => fillIn(chart.views, name, columns));
}

// Gives every chart's source of that name new columns, now and whenever it is drawn again.
export function fillSource(name, columns) {
  latest.set(name, columns);
  drawn.forEach((chart) => fillIn(chart.views, name, columns));
}

function fillIn(views, name, columns) {
  for (const view of views?.roots ?? []) {
    const source = view.model.document?.get_model_by_name(name);
    if (source) source.data = columns;
  }
}

// A tap selects a cell; the address it leads to is a column of the data beside it.
function openCellsOnTap(views) {
  for (const view of views.roots) {
    const source = view.model.document?.get_model_by_name("cells");
    if (!source) continue;
    source.selected.properties.indices.change.connect(() => {
      const [row] = source.selected.indices;
      const address = row === undefined ? "" : source.get_column("url")?.[row];
      if (address) globalThis.location.assign(address);
    });
  }
}

function adopt(element, items) {
  drawn.set(element, { items });
  return draw(element);
}

function adoptInline(script) {
  const element = document.createElement("div");
  script.after(element);
  return adopt(element, JSON.parse(script.textContent));
}

async function adoptFetched(element) {
  const answer = await fetch(element.dataset.chart, { headers: { Accept: "application/json" } });
  if (!answer.ok) {
    element.textContent = "The chart could not be loaded. Reload the page to try again.";
    return;
  }
  await adopt(element, await answer.json());
}

document.querySelectorAll("script.chart").forEach(adoptInline);
document.querySelectorAll("[data-chart]").forEach(adoptFetched);

new MutationObserver(() => drawn.forEach((_, element) => draw(element))).observe(document.documentElement, {
  attributes: true,
  attributeFilter: ["data-bs-theme"],
});
