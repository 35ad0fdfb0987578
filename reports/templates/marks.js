"use strict";
{
  // A mark leads to its page: by a click, or with the keyboard by arrow keys and Enter.
  const follow = (link) => { if (link) location.assign(link); };
  for (const figure of document.querySelectorAll(".figure[data-marks]")) {
    const said = document.getElementById(figure.dataset.marks);
    const marks = [];
    figure.data.forEach((trace, curveNumber) => {
      (trace.customdata ?? []).forEach((link, pointNumber) => {
        if (trace.y[pointNumber] == null) return;
        const place = trace.xaxis === "x2" ? 1 : 0;
        marks.push({ curveNumber, pointNumber, link, place, x: trace.x[pointNumber], text: trace.text[pointNumber] });
      });
    });
    // Several traces can have a mark of one session, such as the parts of a column: one stop is enough.
    const known = new Set();
    const stops = marks.filter(({ place, link, x }) => !known.has(`${place} ${x} ${link}`) && known.add(`${place} ${x} ${link}`));
    stops.sort((a, b) => a.place - b.place || (a.x < b.x ? -1 : a.x > b.x ? 1 : 0));
    let at = -1;
    const go = (to) => {
      at = Math.min(Math.max(to, 0), stops.length - 1);
      const stop = stops[at];
      Plotly.Fx.hover(figure, [{ curveNumber: stop.curveNumber, pointNumber: stop.pointNumber }], stop.place ? "x2y2" : undefined);
      said.textContent = stop.text.replaceAll("<br>", ", ");
    };
    const moves = { ArrowRight: () => at + 1, ArrowLeft: () => at - 1, Home: () => 0, End: () => stops.length - 1 };
    figure.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || !stops.length) return;
      if (event.key === "Enter") follow(stops[at]?.link);
      else if (event.key === "Escape") Plotly.Fx.unhover(figure);
      else if (moves[event.key]) go(moves[event.key]());
      else return;
      event.preventDefault();
    });
    figure.addEventListener("blur", () => Plotly.Fx.unhover(figure));
    figure.on("plotly_click", (event) => follow(event.points[0]?.customdata));
  }
  // A link into a month that is folded opens it.
  const open = () => {
    const aim = location.hash && document.getElementById(location.hash.slice(1));
    if (aim?.tagName === "DETAILS") aim.open = true;
  };
  addEventListener("hashchange", open);
  open();
}
