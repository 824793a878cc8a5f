"use strict";
/* Draws the figures that stand in the page as JSON. Colours are Okabe and Ito's, which colour-blind
 * readers can tell apart; dashes and markers tell series apart without them. */
(() => {
  const html = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const light = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#1b1f24", "#e69f00"];
  const dark = ["#56b4e9", "#d55e00", "#009e73", "#cc79a7", "#0072b2", "#e6e9ee", "#e69f00"];
  const dashes = [[], [6, 4], [2, 3], [10, 3, 2, 3]];
  const markers = ["circle", "rect", "triangle", "rectRot", "crossRot", "star", "rectRounded"];
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  let printing = false;
  const charts = [];
  const drawn = new Set();

  const theme = () => {
    const isDark = scheme.matches && !printing;
    return isDark ? { colours: dark, text: "#e6e9ee", grid: "#39414b" }
      : { colours: light, text: "#1b1f24", grid: "#d0d7de" };
  };
  const pick = (list, index) => list[index % list.length];

  /* Vertical lines where encoders were re-initialised, and the tally of what is drawn. */
  const marks = {
    id: "marks",
    afterDatasetsDraw(chart) {
      const { ctx, chartArea: area, scales } = chart;
      ctx.save();
      ctx.strokeStyle = theme().text;
      ctx.fillStyle = theme().text;
      ctx.globalAlpha = 0.65;
      ctx.setLineDash([3, 3]);
      chart.figure.marks.forEach((mark) => {
        const x = scales.x.getPixelForValue(mark.x);
        ctx.beginPath();
        ctx.moveTo(x, area.top);
        ctx.lineTo(x, area.bottom);
        ctx.stroke();
      });
      ctx.restore();
    },
    afterRender(chart) {
      drawn.add(chart.figure.id);
      html.dataset.charts = `${drawn.size} of ${figures.length}`;
    },
  };

  const share = (figure) => (value) =>
    figure.percent && value !== null ? 100 * value : value;

  const dataset = (figure, series, number) => {
    const { colours } = theme();
    const colour = pick(colours, series.colour);
    const scale = share(figure);
    const data = figure.kind === "scatter" ? series.y.map((y, i) => ({ x: series.x[i], y }))
      : figure.kind === "line" ? series.y.map((y, i) => ({ x: figure.x[i], y: scale(y) }))
        : series.y.map(scale);
    const points = figure.kind === "scatter" ? 2.2 : figure.x.length > 40 ? 0 : 2.5;
    return {
      label: series.name,
      data,
      type: series.kind || figure.kind,
      borderColor: colour,
      backgroundColor: figure.kind === "bar" ? colour + (series.dash % 2 ? "66" : "cc") : colour,
      borderWidth: figure.kind === "scatter" ? 0.8 : 2,
      borderDash: figure.kind === "line" ? pick(dashes, series.dash) : [],
      pointStyle: pick(markers, figure.kind === "scatter" ? series.dash : number),
      pointRadius: points,
      pointHoverRadius: 4,
      pointHitRadius: 6,
      tension: 0,
      spanGaps: false,
    };
  };

  /* Names of classes are cut: the table has them whole. */
  const ticks = (figure, name) => {
    const all = { color: theme().text, display: figure.kind !== "scatter", maxRotation: 60 };
    if (name === "x" && figure.kind === "line" && figure.x.every(Number.isInteger)) all.precision = 0;
    if (name === "x" && figure.kind === "bar") {
      all.callback = function (value) {
        const label = this.getLabelForValue(value);
        return label.length > 14 ? `${label.slice(0, 13)}…` : label;
      };
    }
    return all;
  };

  const axis = (figure, name) => {
    const { text, grid } = theme();
    const of = name === "x" ? figure.x_title : figure.y_title;
    return {
      type: name === "x" && figure.kind === "bar" ? "category" : "linear",
      title: { display: figure.kind !== "scatter", text: name === "y" && figure.percent ? `${of}, %` : of, color: text },
      ticks: ticks(figure, name),
      grid: { color: grid, display: figure.kind !== "scatter", borderColor: grid },
      grace: name === "y" && figure.kind === "line" ? "4%" : 0,
      min: name === "x" && figure.kind === "line" ? figure.x[0] : undefined,
      max: name === "x" && figure.kind === "line" && figure.x.length > 1 ? figure.x[figure.x.length - 1] : undefined,
      beginAtZero: figure.kind === "bar" && name === "y",
    };
  };

  const options = (figure) => {
    const { text } = theme();
    return {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      interaction: { mode: figure.kind === "scatter" ? "nearest" : "index", intersect: false },
      plugins: {
        legend: {
          display: figure.series.length <= 16,
          position: "bottom",
          labels: { color: text, font: { size: printing ? 9 : 12 }, usePointStyle: figure.kind === "scatter", boxWidth: printing ? 16 : 28, boxHeight: figure.kind === "line" ? 0 : 8, padding: printing ? 5 : 10 },
        },
        tooltip: { enabled: figure.kind !== "scatter" },
      },
      scales: { x: axis(figure, "x"), y: axis(figure, "y") },
    };
  };

  const build = (figure) => ({
    labels: figure.kind === "bar" ? figure.x.map(String) : undefined,
    datasets: figure.series.map((series, number) => dataset(figure, series, number)),
  });

  /* Colours anew: on a change of scheme, and light ones for paper. */
  const restyle = () => {
    charts.forEach((chart) => {
      chart.data = build(chart.figure);
      chart.options = options(chart.figure);
      /* The layout of the paper is not known yet: about half of A4's width; the style sheet has the
         rest. */
      if (printing) chart.resize(310, chart.figure.kind === "scatter" ? 250 : 210);
      else chart.resize();
      chart.update("none");
    });
  };

  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 12;
  html.dataset.charts = `0 of ${figures.length}`;
  figures.forEach((figure) => {
    const canvas = document.getElementById(figure.id);
    const config = { type: figure.kind, data: build(figure), options: options(figure), plugins: [marks] };
    /* The plugin needs the figure at the first drawing already. */
    config.plugins = [{ id: "figure", beforeInit(chart) { chart.figure = figure; } }, marks];
    charts.push(new Chart(canvas, config));
  });

  scheme.addEventListener("change", restyle);
  addEventListener("beforeprint", () => { printing = true; restyle(); });
  addEventListener("afterprint", () => { printing = false; restyle(); });
})();
