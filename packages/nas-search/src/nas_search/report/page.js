// Draws each figure when it comes into view, so that a page of many opens at once.
"use strict";
{
  const { config, specs } = JSON.parse(document.getElementById("charts").textContent);
  const options = { config, renderer: "svg", actions: false, tooltip: { theme: "page" } };
  const draw = (place) => {
    const spec = specs[place.dataset.chart];
    delete specs[place.dataset.chart];
    if (!spec) return;
    vegaEmbed(place, spec, options)
      .then(() => { place.dataset.drawn = "yes"; })
      .catch((error) => { place.textContent = `This figure can't be drawn: ${error.message}`; });
  };
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        seen.unobserve(entry.target);
        draw(entry.target);
      }
    }
  }, { rootMargin: "300px" });
  const places = document.querySelectorAll("[data-chart]");
  places.forEach((place) => seen.observe(place));
  window.addEventListener("beforeprint", () => places.forEach(draw));
}
