// Draws the page's curves with uPlot: hover and arrow keys read values, a drag zooms, buttons hide lines and take logarithms.
(function () {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");
  const all = JSON.parse(document.getElementById("curves").textContent);
  const style = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const element = (name, attributes, ...inner) => {
    const made = document.createElement(name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    made.append(...inner);
    return made;
  };
  const whole = []; // distances between ticks of steps: a step has no half
  for (let power = 1; power < 1e12; power *= 10) whole.push(power, 2 * power, 5 * power);
  const number = (value) => {
    if (value === null || value === undefined) return "";
    const size = Math.abs(value);
    return size === 0 || (size >= 1e-3 && size < 1e5) ? String(+value.toFixed(4)) : value.toExponential(3);
  };
  // The data of all tables over one axis; what a logarithm does not know is left out.
  const joined = (tables, log) => {
    const data = tables.length > 1 ? uPlot.join(tables) : tables[0];
    return log ? data.map((column, i) => (i ? column.map((y) => (y > 0 ? y : null)) : column)) : data;
  };

  function chart(box) {
    const about = all[box.dataset.curves];
    const shown = about.lines.map((line) => !line.hidden);
    let log = about.log, plot = null;
    const logButton = element("button", { type: "button", "aria-pressed": String(log) }, "log scale");
    const zoomOut = element("button", { type: "button", hidden: "" }, "whole range");
    const at = element("span", { class: "at", "aria-live": "polite" });
    const canvas = element("div", { class: "canvas", tabindex: "0", role: "group",
      "aria-label": about.title + ": a chart. Left and right arrow keys read values, plus zooms in, Escape shows the whole range." });
    const outputs = [];
    const list = element("ul", { class: "lines" });
    about.lines.forEach((line, i) => {
      const output = element("output", {});
      const button = element("button", { type: "button", "aria-pressed": String(shown[i]) },
        element("span", { class: "swatch k" + line.colour + (line.dashed ? " dashed" : "") }), line.name, output);
      button.addEventListener("click", () => {
        shown[i] = !shown[i];
        button.setAttribute("aria-pressed", String(shown[i]));
        for (let k = line.at; k <= line.at + (line.band ? 2 : 0); k++) plot.setSeries(k, { show: shown[i] });
        count();
      });
      outputs.push(output);
      list.append(element("li", {}, button));
    });
    box.append(element("div", { class: "tools" }, logButton, zoomOut, at), canvas, list);

    // How many points are in sight, for whoever wants to know without looking.
    function count() {
      const { min, max } = plot.scales.x;
      const x = plot.data[0];
      let n = 0;
      about.lines.forEach((line, i) => {
        if (shown[i]) plot.data[line.at].forEach((y, k) => { n += y !== null && y !== undefined && x[k] >= min && x[k] <= max; });
      });
      box.dataset.points = n;
    }
    function read(index) {
      const x = plot.data[0];
      const k = index === null || index === undefined ? x.length - 1 : index;
      at.textContent = about.x + " " + x[k].toLocaleString("en") + (index === null || index === undefined ? " (the last)" : "");
      about.lines.forEach((line, i) => {
        let j = k;
        const y = plot.data[line.at];
        while (j > 0 && (y[j] === null || y[j] === undefined)) j--;
        const band = line.band ? " [" + number(plot.data[line.at + 1][j]) + ", " + number(plot.data[line.at + 2][j]) + "]" : "";
        outputs[i].textContent = number(y[j]) + band;
      });
    }
    function series() {
      const made = [{}];
      about.lines.forEach((line, i) => {
        const stroke = style("--c" + line.colour);
        const common = { show: shown[i], spanGaps: true };
        made[line.at] = { ...common, label: line.name, stroke, width: about.lines.length > 12 ? 1.2 : 2,
          dash: line.dashed ? [6, 4] : undefined, points: { show: plotPoints(line), size: 5, fill: stroke } };
        if (line.band) for (const k of [1, 2]) made[line.at + k] = { ...common, stroke: "transparent", points: { show: false } };
      });
      return made;
    }
    const plotPoints = (line) => about.tables.reduce((n, table) => Math.max(n, table[0].length), 0) <= 30 && !(line.band && line.dashed);
    function draw() {
      const zoomed = plot && !zoomOut.hidden ? { min: plot.scales.x.min, max: plot.scales.x.max } : null;
      if (plot) plot.destroy();
      const grid = { stroke: style("--grid"), width: 1 }, ink = style("--soft");
      const axis = { stroke: ink, grid, ticks: grid, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", labelSize: 18 };
      const only = about.tables.every((table) => table[0].length === 1);
      plot = new uPlot({
        width: Math.max(canvas.clientWidth, 200), height: root.clientWidth < 640 ? 220 : 270,
        scales: { x: { time: false, range: only ? () => [about.tables[0][0][0] - 1, about.tables[0][0][0] + 1] : undefined }, y: { distr: log ? 3 : 1 } },
        axes: [{ ...axis, label: about.x, space: 70, incrs: whole, size: 34, labelGap: 2 }, { ...axis, size: 62, label: about.y,
          values: (u, ticks) => ticks.map((y) => (y === null ? "" : Math.abs(y) >= 1e5 || (y && Math.abs(y) < 1e-3) ? y.toExponential(0) : String(+y.toPrecision(6)))) }],
        series: series(),
        bands: about.lines.filter((line) => line.band).map((line) => ({ series: [line.at + 2, line.at + 1], fill: style("--c" + line.colour) + "2e" })),
        legend: { show: false },
        cursor: { y: false, drag: { x: true, y: false }, points: { size: 8 } },
        hooks: {
          setCursor: [(u) => read(u.cursor.left >= 0 ? u.cursor.idx : null)],
          setScale: [(u, key) => {
            if (key !== "x" || !plot) return;
            const x = u.data[0];
            zoomOut.hidden = only || (u.scales.x.min <= x[0] && u.scales.x.max >= x[x.length - 1]);
            count();
          }],
        },
      }, joined(about.tables, log), canvas);
      if (zoomed) plot.setScale("x", zoomed);
      count();
      read(null);
    }
    const showAll = () => { const x = plot.data[0]; plot.setScale("x", { min: x[0], max: x[x.length - 1] }); };
    logButton.addEventListener("click", () => { log = !log; logButton.setAttribute("aria-pressed", String(log)); draw(); });
    zoomOut.addEventListener("click", () => { showAll(); canvas.focus(); });
    canvas.addEventListener("keydown", (event) => {
      const x = plot.data[0], now = plot.cursor.left >= 0 ? plot.cursor.idx : -1;
      const next = { ArrowRight: Math.min(now + 1, x.length - 1), ArrowLeft: Math.max(now - 1, 0), Home: 0, End: x.length - 1 }[event.key];
      if (next !== undefined) {
        event.preventDefault();
        plot.setCursor({ left: plot.valToPos(x[next], "x"), top: 10 });
      } else if (event.key === "Escape") showAll();
      else if (event.key === "+") {
        const { min, max } = plot.scales.x, middle = now >= 0 ? x[now] : (min + max) / 2, quarter = (max - min) / 4;
        plot.setScale("x", { min: Math.max(middle - quarter, x[0]), max: Math.min(middle + quarter, x[x.length - 1]) });
      }
    });
    new ResizeObserver(() => {
      const width = canvas.clientWidth;
      if (plot && width > 0 && Math.abs(width - plot.width) > 1) plot.setSize({ width, height: plot.height });
    }).observe(canvas);
    draw();
    return draw;
  }

  const redraw = [...document.querySelectorAll(".plot")].map(chart);
  const again = () => redraw.forEach((draw) => draw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  // Paper is light whatever the screen is.
  addEventListener("beforeprint", () => { root.classList.add("printing"); again(); });
  addEventListener("afterprint", () => { root.classList.remove("printing"); again(); });
})();
