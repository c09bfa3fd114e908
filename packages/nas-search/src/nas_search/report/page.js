// Draws one figure after the other, so that the page can be read while it is drawn.
"use strict";
{
  const { config, specs } = JSON.parse(document.getElementById("charts").textContent);
  const options = { config, renderer: "svg", actions: false, logLevel: 1, tooltip: { theme: "page" } };
  const places = [...document.querySelectorAll("[data-chart]")];
  const drawNext = () => {
    const place = places.shift();
    if (!place) return;
    vegaEmbed(place, specs[place.dataset.chart], options)
      .then(() => { place.dataset.drawn = "yes"; })
      .catch((error) => { place.textContent = `This figure can't be drawn: ${error.message}`; })
      .finally(() => setTimeout(drawNext));
  };
  drawNext();
}
