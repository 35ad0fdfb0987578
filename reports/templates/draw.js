"use strict";
{
  const A4_WIDTH_PX = 660;
  const figures = [...document.querySelectorAll(".figure")];
  const closed = [...document.querySelectorAll("details:not([open])")];
  // A finger that scrolls the page must not zoom a figure by accident.
  const dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom";
  const { separators } = document.body.dataset;
  for (const figure of figures) {
    const { data, layout } = JSON.parse(document.getElementById(figure.dataset.figure).textContent);
    layout.xaxis.nticks = Math.max(2, Math.floor(figure.clientWidth / 110));
    // Else a double-click where nothing was zoomed would zoom out, beyond the session's ends.
    const config = { responsive: true, displayModeBar: false, doubleClick: "reset" };
    Plotly.newPlot(figure, data, { separators, ...layout, dragmode }, config);
  }
  // On paper a figure can't be resized later, and what is folded away can't be opened.
  addEventListener("beforeprint", () => {
    for (const details of closed) details.open = true;
    for (const figure of figures) Plotly.relayout(figure, { autosize: false, width: A4_WIDTH_PX });
  });
  addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
    for (const figure of figures) Plotly.relayout(figure, { autosize: true, width: null });
  });
}
