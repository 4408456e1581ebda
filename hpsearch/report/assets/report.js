/* Draws the report's charts out of their specifications, and links them by trial.
   One function a kind of chart, spec in, ECharts option out. Text from the run reaches the page as
   text nodes only. */
(() => {
"use strict";
const specs = JSON.parse(document.getElementById("specs").textContent);
const root = document.documentElement;
const status = document.getElementById("status");
const drawn = new Map(); // chart's name -> ECharts instance
const settings = new Map(); // chart's name -> what its controls say
const curves = specs.curves;
const state = { trial: curves ? Number(curves.selected) : null, theme: null };

/* -- colours, fonts, numbers */

const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);
function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}
const NAMES = ["card", "text", "muted", "line", "grid", "accent", "blue", "orange", "green", "purple", "grey",
  "bad", "ramp0", "ramp1", "ramp2", "ramp3", "ink0", "ink3"];
function readTheme() {
  const theme = Object.fromEntries(NAMES.map((name) => [name, colour(name)]));
  theme.font = getComputedStyle(document.body).fontFamily;
  theme.ramp = [theme.ramp0, theme.ramp1, theme.ramp2, theme.ramp3];
  theme.lines = [theme.blue, theme.orange, theme.green, theme.purple, theme.grey, theme.bad, theme.accent, theme.muted];
  return theme;
}
function faded(rgb, alpha) {
  return rgb.replace(/^rgba?\(([^,]+),([^,]+),([^,)]+).*$/, `rgba($1,$2,$3,${alpha})`);
}
function fmt(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-4)) return value.toExponential(2).replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}
/* A score of the selecting metric, with the decimals that the whole page gives such scores. */
function fixed(spec, value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (spec.decimals > 7 || Math.abs(value) >= 1e7) return fmt(value);
  const text = value.toFixed(spec.decimals);
  return Number(text) === 0 ? text.replace("-", "") : text;
}
function tick(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) return value.toExponential(1).replace(".0e", "e").replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}
function shortened(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
/* A name in up to three lines, broken between its words only; a longer word is shortened. */
function folded(name, most) {
  const lines = [];
  for (const word of name.match(/[^_ .-]*[_ .-]|[^_ .-]+/g) || [name]) {
    if (lines.length && (lines[lines.length - 1] + word).length <= most) lines[lines.length - 1] += word;
    else lines.push(word);
  }
  const shown = lines.slice(0, 3).map((line) => shortened(line, most));
  if (lines.length > 3) shown[2] = shortened(`${lines[2]}…`, most);
  return shown.join("\n");
}
function clamp(value, [low, high]) {
  return Math.min(high, Math.max(low, value));
}
function isOutside(value, [low, high]) {
  return value < low || value > high;
}

/* -- parts of options */

function tip(title, ...lines) {
  const box = document.createElement("div");
  box.className = "tip";
  const strong = document.createElement("strong");
  strong.textContent = title;
  box.append(strong);
  for (const line of lines.filter(Boolean)) {
    const row = document.createElement("div");
    row.textContent = line;
    box.append(row);
  }
  return box;
}
function base(extra) {
  const t = state.theme;
  return {
    animation: false,
    textStyle: { fontFamily: t.font, color: t.text },
    grid: { left: 8, right: 18, top: 16, bottom: 8, containLabel: true },
    tooltip: {
      confine: true, backgroundColor: t.card, borderColor: t.line, textStyle: { color: t.text, fontSize: 13 },
      transitionDuration: 0, extraCssText: "box-shadow: 0 4px 16px rgba(0,0,0,.18)",
    },
    ...extra,
  };
}
function axis(extra) {
  const t = state.theme;
  return {
    axisLine: { show: true, onZero: false, lineStyle: { color: t.grey } },
    axisTick: { show: false },
    axisLabel: { color: t.muted, fontSize: 12, hideOverlap: true, ...(extra.type === "value" || extra.type === "log" ? { formatter: tick } : {}) },
    splitLine: { show: true, lineStyle: { color: t.grid } },
    nameTextStyle: { color: t.muted, fontSize: 12 },
    ...extra,
  };
}
function xAxis(name, extra) {
  return axis({ type: "value", name, nameLocation: "middle", nameGap: 28, ...extra });
}
function yAxis(name, extra) {
  return axis({ type: "value", name, nameLocation: "end", nameGap: 10, scale: true, ...extra,
    nameTextStyle: { color: state.theme.muted, fontSize: 12, align: "left", padding: [0, 0, 0, -6] } });
}
function titled(option) {
  option.grid.top = 34;
  return option;
}
/* Ends of a drawn range are no round numbers: their labels are left out. */
function ranged(limits, extra = {}) {
  return { min: limits[0], max: limits[1], axisLabel: { color: state.theme.muted, fontSize: 12, hideOverlap: true,
    formatter: tick, showMinLabel: false, showMaxLabel: false }, ...extra };
}
/* Intervals as lines with caps: data are [x, y, low, high, colour, dashed]. */
function intervals(isVertical, data, cap = 4) {
  return {
    type: "custom", silent: true, clip: true, z: 1, data, encode: isVertical ? { x: 0, y: [1, 2, 3] } : { x: [0, 2, 3], y: 1 },
    renderItem: (_, api) => {
      const [at, low, high] = isVertical
        ? [api.value(0), api.value(2), api.value(3)] : [api.value(1), api.value(2), api.value(3)];
      if (!Number.isFinite(low) || !Number.isFinite(high)) return null;
      const row = data[api.dataIndex ?? _.dataIndex];
      const a = isVertical ? api.coord([at, low]) : api.coord([low, at]);
      const b = isVertical ? api.coord([at, high]) : api.coord([high, at]);
      const style = { stroke: row[4], lineWidth: row[6] || 2, lineDash: row[5] ? [4, 4] : null };
      const line = (x1, y1, x2, y2, own = style) => ({ type: "line", shape: { x1, y1, x2, y2 }, style: own });
      const solid = { ...style, lineDash: null };
      const caps = isVertical
        ? [line(a[0] - cap, a[1], a[0] + cap, a[1], solid), line(b[0] - cap, b[1], b[0] + cap, b[1], solid)]
        : [line(a[0], a[1] - cap, a[0], a[1] + cap, solid), line(b[0], b[1] - cap, b[0], b[1] + cap, solid)];
      return { type: "group", children: [line(a[0], a[1], b[0], b[1]), ...(cap ? caps : [])] };
    },
  };
}
function ramp(spec, extra) {
  const t = state.theme;
  const colours = spec.direction === "min" ? t.ramp : [...t.ramp].reverse();
  const good = spec.direction === "min" ? spec.range[0] : spec.range[1];
  const bad = spec.direction === "min" ? spec.range[1] : spec.range[0];
  const text = spec.direction === "min" ? [`worse ${fixed(spec, bad)}`, `${fixed(spec, good)} better`] : [`better ${fixed(spec, good)}`, `${fixed(spec, bad)} worse`];
  return {
    type: "continuous", min: spec.range[0], max: spec.range[1], inRange: { color: colours }, orient: "horizontal",
    right: 8, top: 0, itemWidth: 12, itemHeight: innerWidth < 600 ? 60 : 120, text, textStyle: { color: t.muted, fontSize: 12 },
    hoverLink: false, ...extra,
  };
}
/* Logarithmic axes are drawn on the logarithm, so that they end where their values do. */
function logTicks(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const decades = Math.log10(high / low);
  const steps = decades > 1.9 ? [1] : decades > 1.2 ? [1, 3] : [1, 2, 5];
  const ticks = [];
  for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k += decades > 8 ? 2 : 1) {
    for (const step of steps) if (step * 10 ** k >= low * 0.999 && step * 10 ** k <= high * 1.001) ticks.push(Math.log10(step) + k);
  }
  return ticks.length > 1 ? ticks : [Math.log10(low), Math.log10(high)];
}
function logAxis(values) {
  const known = values.filter((v) => v !== null);
  const ends = [Math.log10(Math.min(...known)), Math.log10(Math.max(...known))];
  const margin = 0.04 * (ends[1] - ends[0]) || 0.1;
  return { type: "value", min: ends[0] - margin, max: ends[1] + margin, ticks: logTicks(known) };
}
function logLimits(values) {
  const { min, max, ticks } = logAxis(values);
  return { min, max, splitLine: { show: false }, axisLabel: { color: state.theme.muted, fontSize: 12, hideOverlap: true, customValues: ticks, formatter: power } };
}
const power = (v) => tick(Number((10 ** v).toPrecision(2)));
function trialName(trial) {
  const label = curves && curves.labels[trial];
  return label || "";
}
function scoreLine(spec, row) {
  const bounds = row.low === null || row.low === undefined ? "" : ` (95 % interval ${fixed(spec, row.low)} to ${fixed(spec, row.high)})`;
  return `${spec.metric} ${fixed(spec, row.score)}${bounds}`;
}

/* -- one function a kind */

const draw = {
  forest(spec, box) {
    const t = state.theme;
    const isNarrow = box.clientWidth < 620;
    const tone = { naive: t.grey, corrected: t.blue, bias_corrected: t.blue, foldwise: t.blue, ensemble: t.blue, nested: t.purple, test: t.orange, baseline: t.green };
    const rows = spec.rows;
    const texts = rows.map((r) => r.text);
    const label = { color: t.text, fontSize: 13, width: isNarrow ? 118 : 290, overflow: "break", lineHeight: 16, hideOverlap: false, interval: 0 };
    const option = base({
      xAxis: xAxis(`${spec.metric} (${spec.direction === "min" ? "lower" : "higher"} is better)`, ranged(spec.range)),
      yAxis: [
        axis({ type: "category", inverse: true, data: rows.map((r) => r.label), axisLabel: label, splitLine: { show: false }, axisLine: { show: false } }),
        axis({ type: "category", inverse: true, position: "right", data: texts, splitLine: { show: false }, axisLine: { show: false },
          axisLabel: { show: !isNarrow, color: t.muted, fontSize: 13, interval: 0, hideOverlap: false } }),
      ],
      series: [
        intervals(false, rows.map((r, i) => [clamp(r.value, spec.range), i, r.low ?? NaN, r.high ?? NaN, isOutside(r.value, spec.range) ? "transparent" : tone[r.key], r.key === "naive", r.key === "naive" ? 1.5 : 3]), 5),
        { type: "scatter", symbolSize: 11, z: 3, clip: false, data: rows.map((r, i) => ({ value: [clamp(r.value, spec.range), i],
          symbolRotate: r.value > spec.range[1] ? -90 : r.value < spec.range[0] ? 90 : 0,
          symbol: isOutside(r.value, spec.range) ? "triangle" : r.key === "naive" ? "path://M0,0L10,10M10,0L0,10" : r.key === "baseline" ? "diamond" : r.key === "test" ? "rect" : "circle",
          itemStyle: { color: tone[r.key], borderColor: r.key === "naive" ? t.grey : t.card, borderWidth: 1.5 } })) },
      ],
    });
    option.tooltip.formatter = (p) => tip(rows[p.data.value[1]].label, texts[p.data.value[1]], rows[p.data.value[1]].about);
    option.grid.bottom = 26;
    return option;
  },

  bars(spec, box) {
    const t = state.theme;
    const rows = spec.rows;
    const option = base({
      xAxis: xAxis(spec.x, ranged(spec.range)),
      yAxis: axis({ type: "category", inverse: true, data: rows.map((r) => r.label), splitLine: { show: false },
        axisLabel: { color: t.text, fontSize: 12, interval: 0, width: box.clientWidth < 520 ? 110 : 200, overflow: "truncate" } }),
      series: [
        { type: "bar", barMaxWidth: 14, data: rows.map((r) => Math.max(r.value, spec.range[0])), itemStyle: { color: t.blue, borderRadius: [0, 3, 3, 0] } },
        intervals(false, rows.map((r, i) => [r.value, i, r.low, r.high, t.text, false, 1.5]), 3),
      ],
    });
    option.grid.bottom = 26;
    option.tooltip.formatter = (p) => tip(rows[p.dataIndex].label, `${spec.of} ${fmt(rows[p.dataIndex].value)}`,
      `95 % interval ${fmt(rows[p.dataIndex].low)} to ${fmt(rows[p.dataIndex].high)}`);
    return option;
  },

  ranked(spec) {
    const t = state.theme;
    const rows = spec.rows;
    const tone = (r) => (r.trial === state.trial ? t.orange : r.status === "stopped" ? t.purple : t.blue);
    const size = rows.length > 120 ? 5 : rows.length > 50 ? 7 : 9;
    const option = base({
      xAxis: xAxis("rank", { min: 0.5, max: rows.length + 0.5, splitLine: { show: false }, minInterval: 1,
        axisLabel: { color: t.muted, formatter: (v) => (Number.isInteger(v) ? String(v) : ""), showMinLabel: false, showMaxLabel: false } }),
      yAxis: yAxis(spec.metric, ranged(spec.range)),
      series: [
        intervals(true, rows.map((r) => [r.rank, clamp(r.score, spec.range), r.low === null ? NaN : clamp(r.low, spec.range),
          r.high === null ? NaN : clamp(r.high, spec.range), isOutside(r.score, spec.range) ? "transparent" : faded(tone(r), r.trial === state.trial ? 1 : 0.55),
          false, rows.length > 120 ? 1.2 : 2]), rows.length > 60 ? 0 : 3),
        { type: "scatter", clip: false, z: 3, data: rows.map((r) => ({ value: [r.rank, clamp(r.score, spec.range)],
          symbol: isOutside(r.score, spec.range) ? "triangle" : "circle", symbolSize: r.trial === state.trial ? size + 4 : size,
          itemStyle: r.status === "stopped" ? { color: t.card, borderColor: tone(r), borderWidth: 2 } : { color: tone(r) } })) },
      ],
    });
    option.tooltip.formatter = (p) => { const r = rows[p.dataIndex];
      return tip(`Trial ${r.trial}, ${r.status === "stopped" ? "stopped" : `rank ${r.rank}`}`, scoreLine(spec, r), `${r.folds} folds`, trialName(r.trial)); };
    option.grid.bottom = 26;
    option.trialAt = (p) => rows[p.dataIndex].trial;
    return titled(option);
  },

  curves(spec, box) {
    const t = state.theme;
    const own = settings.get("curves");
    const metric = own.metric;
    const shown = [String(state.trial), own.other].filter((name, i, all) => name && spec.trials[name] && all.indexOf(name) === i);
    const tones = [[t.blue, t.orange], [t.green, t.purple]];
    const series = [], near = [], far = [];
    const all = shown.flatMap((name) => { const { val, train } = spec.trials[name].series[metric]; return [...val, ...train]; });
    const isLog = own.log && all.filter(Number.isFinite).every((v) => v > 0);
    const at = (v) => (isLog ? (v > 0 ? Math.log10(v) : null) : v); // drawn on the logarithm, so that the axis ends where values do
    const said = (p) => (metric === spec.metrics[0] ? fixed(spec, isLog ? 10 ** p.value[1] : p.value[1]) : fmt(isLog ? 10 ** p.value[1] : p.value[1]));
    shown.forEach((name, place) => {
      const trial = spec.trials[name];
      const { val, se, train } = trial.series[metric];
      const [tone, other] = tones[place];
      const points = (values) => trial.epochs.map((e, i) => [e, values[i] === null || values[i] === undefined ? null : at(values[i])]).filter((p) => p[1] !== null);
      if (se.some((v) => v !== null)) {
        series.push(band(trial.epochs, val.map((v, i) => at(isLog ? Math.max(v - (se[i] || 0), v / 10) : v - (se[i] || 0))), val.map((v, i) => at(v + (se[i] || 0))), faded(tone, 0.16)));
      }
      if (own.folds && metric === spec.metrics[0]) {
        for (const fold of trial.folds || []) {
          series.push({ type: "line", name: `${fold.name} of trial ${name}`, data: points(fold.values), showSymbol: false, symbol: "circle", z: 1,
            lineStyle: { width: 1, color: faded(tone, 0.45) }, itemStyle: { color: tone }, emphasis: { disabled: true } });
        }
      }
      series.push({ type: "line", name: `validation, trial ${name}`, data: points(val), showSymbol: false, z: 3, lineStyle: { width: 2.5, color: tone }, itemStyle: { color: tone },
        markPoint: { symbol: "circle", symbolSize: 12, silent: true, itemStyle: { color: tone, borderColor: t.card, borderWidth: 2 }, label: { show: false },
          data: [trial.best].filter((b) => trial.epochs.includes(b) && val[trial.epochs.indexOf(b)] !== null).map((b) => ({ coord: [b, at(val[trial.epochs.indexOf(b)])] })) },
        markLine: { symbol: "none", silent: true, lineStyle: { color: tone, type: "dotted", width: 1.5 }, label: { color: t.muted, formatter: `best: ${trial.best}`, position: "end", distance: 4,
            offset: [trial.best > 0.9 * trial.epochs[trial.epochs.length - 1] ? -20 : 0, place ? -13 : 0] },
          data: trial.epochs.length > 1 ? [{ xAxis: trial.best }, ...(trial.changes || []).map((last, i) => ({ xAxis: last,
            lineStyle: { color: t.grey, type: "solid", width: 1 }, label: { color: t.muted, formatter: `phase ${i + 2}`, position: "insideEndTop" } }))] : [] } });
      if (train.some((v) => v !== null)) {
        series.push({ type: "line", name: `training, trial ${name}`, data: points(train), showSymbol: false, z: 2, lineStyle: { width: 2, color: other, type: [6, 4] }, itemStyle: { color: other } });
      }
      near.push(...val.filter(Number.isFinite));
      far.push(...val.filter(Number.isFinite), ...train.filter(Number.isFinite));
    });
    const y = isLog ? logLimits(far) : robust(far, near, spec.direction);
    const means = series.filter((s) => s.name && !s.name.includes("fold "));
    const option = base({
      legend: { show: true, top: 0, left: 0, itemWidth: 22, itemHeight: 8, icon: "path://M0,3L22,3L22,5L0,5Z", textStyle: { color: t.text, fontSize: 12 }, data: means.map((s) => s.name), selectedMode: box.clientWidth > 500 },
      xAxis: xAxis("epoch", { min: "dataMin", max: "dataMax", minInterval: 1, splitLine: { show: false } }),
      yAxis: yAxis(metric, y),
      series,
    });
    option.tooltip.trigger = "axis";
    option.tooltip.axisPointer = { type: "line", lineStyle: { color: t.grey }, label: { show: false } };
    option.tooltip.formatter = (ps) => { const rows = ps.filter((p) => p.seriesName && p.value && !p.seriesName.startsWith("series"));
      const lines = rows.filter((p) => !p.seriesName.includes("fold ")).map((p) => `${p.seriesName}: ${said(p)}`);
      for (const name of shown) {
        const folds = rows.filter((p) => p.seriesName.includes("fold ") && p.seriesName.endsWith(`trial ${name}`)).sort((a, b) => a.value[1] - b.value[1]);
        const ofFold = (p) => `${said(p)} (${p.seriesName.split(" of ")[0]})`;
        if (folds.length) lines.push(`folds of trial ${name}: ${ofFold(folds[0])} to ${ofFold(folds[folds.length - 1])}`);
      }
      return tip(`Epoch ${rows.length ? rows[0].value[0] : ""}`, ...lines); };
    option.grid.top = box.clientWidth < 500 ? 76 : 58;
    option.grid.bottom = 26;
    return option;
  },

  parallel(spec, box) {
    const t = state.theme;
    const isNarrow = box.clientWidth < 640;
    const shown = spec.axes.slice(0, settings.get("parallel").all ? undefined : FIRST_AXES);
    const last = shown.length;
    const halo = { color: t.text, textBorderColor: t.card, textBorderWidth: 3 };
    const axes = shown.map((a, dim) => ({ dim, name: a.name, ...(a.scale === "levels" ? { type: "category", data: a.levels } : a.scale === "log" ? logAxis(spec.rows.map((r) => r.values[dim])) : { type: "value", scale: true }) }));
    axes.push({ dim: last, name: spec.metric, type: "value", min: spec.range[0], max: spec.range[1] });
    const width = (box.clientWidth - 100) / last;
    const most = isNarrow ? 9 : Math.max(6, Math.floor(width / 7.5));
    for (const a of axes) {
      a.name = folded(a.name, isNarrow ? 14 : Math.max(8, Math.floor((width - 6) / 7)));
      a.axisLabel = { ...halo, fontSize: 11, showMinLabel: a.dim !== last, showMaxLabel: a.dim !== last, hideOverlap: true,
        formatter: a.type === "category" ? (v) => shortened(v, most) : a.ticks ? power : tick, ...(a.ticks ? { customValues: a.ticks } : {}) };
    }
    const place = (v, i) => (v === null ? null : shown[i].scale === "levels" ? shown[i].levels[v] : shown[i].scale === "log" ? Math.log10(v) : v);
    const rows = [...spec.rows].reverse(); // the best are drawn last, over the others
    const lines = rows.map((r) => ({ value: [...r.values.slice(0, last).map(place), clamp(r.score, spec.range)],
      name: String(r.trial), lineStyle: r.trial === state.trial ? { width: 4, opacity: 1 } : {} }));
    const isMany = spec.rows.length > 100;
    const option = base({
      visualMap: { ...ramp(spec), right: undefined, left: 0, dimension: last, seriesIndex: 0 },
      parallel: { layout: isNarrow ? "vertical" : "horizontal", left: isNarrow ? 112 : 40, right: isNarrow ? 26 : 60, top: isNarrow ? 44 : 78, bottom: isNarrow ? 34 : 24,
        parallelAxisDefault: { nameLocation: isNarrow ? "start" : "end", nameGap: isNarrow ? 12 : 14, nameTextStyle: { color: t.text, fontSize: 12, lineHeight: 15, fontWeight: 600 },
          axisLine: { lineStyle: { color: t.grey, width: 1.5 } }, axisTick: { show: false }, splitLine: { show: false }, z: 5,
          areaSelectStyle: { width: 18, borderWidth: 1, borderColor: t.accent, color: t.accent, opacity: 0.25 } } },
      parallelAxis: axes,
      series: [{ type: "parallel", lineStyle: { width: isMany ? 1.2 : 1.8, opacity: isMany ? 0.55 : 0.75 }, inactiveOpacity: 0.04,
        emphasis: { lineStyle: { width: 4, opacity: 1 } }, smooth: 0.05, data: lines, z: 3 }],
    });
    option.tooltip.formatter = (p) => { const r = rows[p.dataIndex]; return tip(`Trial ${r.trial}`, `${spec.metric} ${fixed(spec, r.score)}`, trialName(r.trial)); };
    option.trialAt = (p) => (p.componentType === "series" ? rows[p.dataIndex].trial : null);
    return option;
  },

  slice(spec, box) {
    const t = state.theme;
    const isLevels = spec.scale === "levels";
    const wide = spec.levels.length * 34 > box.clientWidth - 50 || spec.levels.some((l) => l.length * 7 * spec.levels.length > box.clientWidth - 60);
    const jitter = (trial) => (((trial * 7919) % 101) / 100 - 0.5) * 0.5;
    const chosen = (p) => p[2] === state.trial;
    const isLog = spec.scale === "log";
    const points = spec.points.map((p) => ({ value: [isLevels ? p[0] + jitter(p[2]) : isLog ? Math.log10(p[0]) : p[0], clamp(p[1], spec.range)],
      symbol: isOutside(p[1], spec.range) ? "triangle" : "circle", symbolSize: chosen(p) ? 11 : spec.points.length > 100 ? 5 : 7,
      itemStyle: chosen(p) ? { color: "transparent", borderColor: t.orange, borderWidth: 3, opacity: 1 } : p[3] ? { color: "transparent", borderColor: t.purple, borderWidth: 1.5 } : { color: t.blue, opacity: 0.7 } }));
    const xs = isLevels
      ? { min: -0.6, max: spec.levels.length - 0.4, interval: 1, splitLine: { show: false },
        axisLabel: { color: t.muted, fontSize: 11, hideOverlap: !wide, customValues: spec.levels.map((_, i) => i), rotate: wide ? 32 : 0, showMinLabel: true, showMaxLabel: true, formatter: (v) => shortened(spec.levels[Math.round(v)] ?? "", 12) } }
      : isLog ? logSlice(spec) : { type: "value", scale: true, splitLine: { show: false }, splitNumber: 4 };
    const option = base({
      xAxis: axis({ type: "value", ...xs }),
      yAxis: yAxis("", ranged(spec.range, { splitNumber: 3 })),
      series: [{ type: "scatter", clip: false, data: points, z: 2 }, ...(isLevels ? [medians(spec)] : [])],
    });
    option.grid = { left: 4, right: 16, top: 10, bottom: 4, containLabel: true };
    option.tooltip.formatter = (p) => { const [x, score, trial, stopped] = spec.points[p.dataIndex];
      return tip(`Trial ${trial}${stopped ? ", stopped" : ""}`, `${spec.name} = ${isLevels ? spec.levels[x] : fmt(x)}`, `${spec.metric} ${fixed(spec, score)}`); };
    option.trialAt = (p) => (p.seriesIndex === 0 ? spec.points[p.dataIndex][2] : null);
    return option;
  },

  progress(spec) {
    const t = state.theme;
    const own = settings.get("progress");
    const x = own.seconds ? (p) => p.seconds : (p) => p.trial;
    const scored = spec.points.filter((p) => p.score !== null);
    const failed = spec.points.filter((p) => p.status === "failed");
    const bottom = spec.direction === "min" ? spec.range[1] : spec.range[0];
    const tone = (p) => (p.trial === state.trial ? t.orange : p.status === "stopped" ? t.purple : t.blue);
    const option = base({
      legend: { show: true, top: 0, right: 0, textStyle: { color: t.text, fontSize: 12 }, itemWidth: 18, itemHeight: 9, selectedMode: false },
      xAxis: xAxis(own.seconds ? "training, seconds summed over processes" : "trial, in the order of the search", { scale: true, splitLine: { show: false }, minInterval: own.seconds ? 0 : 1 }),
      yAxis: yAxis(spec.metric, ranged(spec.range)),
      series: [
        { type: "line", step: "end", name: "best so far", showSymbol: false, data: spec.points.filter((p) => p.best !== null).map((p) => [x(p), p.best]), lineStyle: { color: t.orange, width: 2.5 }, itemStyle: { color: t.orange }, z: 2 },
        { type: "scatter", clip: false, name: "trial", itemStyle: { color: t.blue }, z: 3, data: scored.map((p) => ({ value: [x(p), clamp(p.score, spec.range)], symbol: isOutside(p.score, spec.range) ? "triangle" : "circle",
          symbolSize: p.trial === state.trial ? 12 : scored.length > 100 ? 6 : 8, itemStyle: p.status === "stopped" ? { color: t.card, borderColor: tone(p), borderWidth: 2 } : { color: tone(p) } })) },
        ...(failed.length ? [{ type: "scatter", name: "failed", symbol: "path://M0,2L2,0L5,3L8,0L10,2L7,5L10,8L8,10L5,7L2,10L0,8L3,5Z", symbolSize: 9, itemStyle: { color: t.bad }, z: 3, data: failed.map((p) => [x(p), bottom]) }] : []),
      ],
    });
    const at = (p) => (p.seriesName === "trial" ? scored[p.dataIndex] : p.seriesName === "failed" ? failed[p.dataIndex] : null);
    option.tooltip.formatter = (p) => { const r = at(p); return r ? tip(`Trial ${r.trial}, ${r.status}`, r.score === null ? "" : `${spec.metric} ${fixed(spec, r.score)}`, `best so far ${fixed(spec, r.best)}`, trialName(r.trial)) : tip("Best so far", fixed(spec, p.value[1])); };
    option.trialAt = (p) => at(p)?.trial ?? null;
    option.grid.bottom = 26;
    return titled(option);
  },

  heat(spec, box) {
    const t = state.theme;
    const isNarrow = box.clientWidth < 560;
    const cells = spec.cells.filter((c) => c[2] !== null);
    const option = base({
      visualMap: { ...ramp(spec), calculable: false },
      xAxis: axis({ type: "category", data: spec.trials.map(String), name: "trial, by rank", nameLocation: "middle", nameGap: 26, splitLine: { show: false } }),
      yAxis: axis({ type: "category", inverse: true, data: spec.folds, splitLine: { show: false }, axisLabel: { color: t.muted, fontSize: 11, interval: "auto",
        formatter: (v) => (isNarrow ? v.replace("repeat ", "r").replace(", fold ", " f") : v) } }),
      series: [{ type: "heatmap", data: cells.map((c) => [c[0], c[1], clamp(c[2], spec.range)]), progressive: 0,
        itemStyle: { borderColor: t.card, borderWidth: spec.trials.length > 80 ? 0 : 1 }, emphasis: { itemStyle: { borderColor: t.text, borderWidth: 2 } } }],
    });
    option.tooltip.formatter = (p) => tip(`Trial ${spec.trials[cells[p.dataIndex][0]]}`, spec.folds[cells[p.dataIndex][1]], `${spec.metric} ${fixed(spec, cells[p.dataIndex][2])}`);
    option.trialAt = (p) => (p.componentType === "series" ? spec.trials[cells[p.dataIndex][0]] : null);
    option.grid.top = 34;
    option.grid.bottom = 26;
    return option;
  },

  matrix(spec, box) {
    const t = state.theme;
    const n = spec.names.length;
    const cells = [];
    spec.counts.forEach((row, i) => row.forEach((count, j) => cells.push([j, i, spec.shares[i][j], count])));
    const room = (box.clientWidth - 110) / n;
    const most = Math.max(4, Math.floor(room / 8));
    const option = base({
      visualMap: { show: false, min: 0, max: 1, dimension: 2, inRange: { color: [t.card, t.ramp2, t.ramp1, t.ramp0] } },
      xAxis: axis({ type: "category", data: spec.names, name: "predicted", nameLocation: "middle", nameGap: 26, splitLine: { show: false }, axisLabel: { color: t.text, interval: 0, hideOverlap: true, formatter: (v) => shortened(v, most) } }),
      yAxis: axis({ type: "category", inverse: true, data: spec.names, name: "true", nameLocation: "start", splitLine: { show: false }, axisLabel: { color: t.text, interval: 0, formatter: (v) => shortened(v, 14) } }),
      series: [{ type: "heatmap", data: cells, itemStyle: { borderColor: t.line, borderWidth: 1 }, emphasis: { disabled: true },
        label: { show: room > 26, lineHeight: 19, fontSize: n > 6 ? 11 : 14, formatter: (p) => (room > 60 && n <= 6 ? `${fmt(Number(p.value[3].toFixed(1)))}\n${(100 * p.value[2]).toFixed(1)} %` : `${Math.round(p.value[3])}`) } }],
    });
    option.series[0].data = cells.map((c) => ({ value: c, label: { color: c[2] > 0.45 ? t.ink0 : t.text } }));
    option.tooltip.formatter = (p) => tip(`${spec.names[p.value[1]]} predicted as ${spec.names[p.value[0]]}`, `${fmt(p.value[3])} rows, ${(100 * p.value[2]).toFixed(1)} % of the class`);
    option.grid.bottom = 26;
    option.grid.top = 30;
    return option;
  },

  lines(spec) {
    const t = state.theme;
    const isMany = spec.series.length > 4 || spec.series.every((s) => s.name.startsWith("repeat"));
    const tone = (i) => (spec.series.every((s) => s.name.startsWith("repeat")) ? faded(t.blue, 0.75) : t.lines[i % t.lines.length]);
    const types = ["solid", "dashed", "dotted"];
    const option = base({
      legend: { show: true, bottom: 64, right: 26, orient: "vertical", icon: "path://M0,3L22,3L22,5L0,5Z", textStyle: { color: t.text, fontSize: 12 }, itemWidth: 18, itemHeight: 8, data: spec.series.map((s) => `${s.name}: ${fmt(s.auc)}`) },
      xAxis: xAxis("other rows predicted so (false positive rate)", { min: 0, max: 1 }),
      yAxis: yAxis("own rows found (true positive rate)", { min: 0, max: 1 }),
      series: [...spec.series.map((s, i) => ({ type: "line", name: `${s.name}: ${fmt(s.auc)}`, data: s.points, showSymbol: false, symbol: "none", lineStyle: { width: 2, color: tone(i), type: isMany ? types[i % 3] : types[i % 3] }, itemStyle: { color: tone(i) } })), diagonal([0, 1])],
    });
    option.tooltip.trigger = "item";
    option.tooltip.formatter = (p) => tip(p.seriesName);
    option.grid.bottom = 26;
    return titled(option);
  },

  thresholds(spec) {
    const t = state.theme;
    const [low, high] = spec.interval;
    const marks = [{ xAxis: spec.mark, lineStyle: { color: t.orange, width: 2, type: "solid" }, label: { formatter: fmt(spec.mark), color: t.text } }];
    if (spec.mark !== 0.5) marks.push({ xAxis: 0.5, lineStyle: { color: t.grey, width: 1, type: "dashed" }, label: { show: Math.abs(spec.mark - 0.5) > 0.16, formatter: "0.5", color: t.muted } });
    if (spec.bound !== null) marks.push({ yAxis: spec.bound, lineStyle: { color: t.grey, width: 1, type: "dotted" }, label: { show: false } });
    const option = base({
      legend: { show: spec.series.length > 1, top: 0, right: 8, textStyle: { color: t.text, fontSize: 12 }, itemWidth: 18, itemHeight: 8, selectedMode: false },
      xAxis: xAxis(spec.x, { min: 0, max: 1 }),
      yAxis: yAxis(spec.y, { scale: true }),
      series: spec.series.map((s, i) => ({ type: "line", name: s.name, data: s.points, showSymbol: false, symbol: "none", lineStyle: { width: 2, color: t.lines[i], type: i ? "dashed" : "solid" }, itemStyle: { color: t.lines[i] },
        markLine: i ? undefined : { silent: true, symbol: "none", data: marks },
        markArea: i || low === null ? undefined : { silent: true, itemStyle: { color: faded(t.orange, 0.12) }, data: [[{ xAxis: low }, { xAxis: high }]] } })),
    });
    option.tooltip.trigger = "axis";
    option.tooltip.formatter = (p) => tip(`Predicted from ${fmt(p[0].value[0])} on`, ...p.map((q) => `${q.seriesName} ${fmt(q.value[1])}`));
    option.grid.bottom = 26;
    return titled(option);
  },

  calibration(spec) {
    const t = state.theme;
    const points = spec.points;
    const option = base({
      xAxis: xAxis(spec.x, { min: 0, max: 1 }),
      yAxis: yAxis(spec.y, { min: 0, max: 1 }),
      series: [diagonal([0, 1]), intervals(true, points.map((p) => [p[0], p[1], p[2], p[3], faded(t.blue, 0.7)])),
        { type: "line", data: points.map((p) => [p[0], p[1]]), symbol: "circle", symbolSize: 8, itemStyle: { color: t.blue }, lineStyle: { color: faded(t.blue, 0.5), width: 1.5 }, z: 3 }],
    });
    option.tooltip.formatter = (p) => { const r = points[p.dataIndex]; return tip(`${spec.of || "Predicted"} ${fmt(r[0])}`, `${spec.came || "came true"}: ${fmt(r[1])} (95 % interval ${fmt(r[2])} to ${fmt(r[3])})`, `${fmt(Math.round(r[4]))} rows`); };
    option.grid.bottom = 26;
    return titled(option);
  },

  fan(spec) {
    const t = state.theme;
    const n = spec.series.length;
    const option = base({
      legend: { show: n <= 9, top: 0, right: 8, textStyle: { color: t.text, fontSize: 12 }, itemWidth: 18, itemHeight: 8, selectedMode: false },
      xAxis: xAxis(spec.x, { min: 1, max: spec.points.length }),
      yAxis: yAxis(spec.y, { scale: true }),
      series: [...spec.series.map((s, i) => ({ type: "line", name: s.name, data: s.points, showSymbol: false, symbol: "none", lineStyle: { width: i === Math.floor(n / 2) ? 2 : 1, color: i === Math.floor(n / 2) ? t.blue : faded(t.blue, 0.6) }, itemStyle: { color: t.blue } })),
        { type: "scatter", name: "true", data: spec.points.map((p) => [p[0], p[1]]), symbolSize: 4, itemStyle: { color: t.orange, opacity: 0.7 }, z: 3 }],
    });
    option.tooltip.formatter = (p) => { const at = p.dataIndex; return tip(`Row ${spec.points[at][2]}`, `true ${fmt(spec.points[at][1])}`, ...spec.series.map((s) => `${s.name} ${fmt(s.points[at][1])}`)); };
    option.grid.bottom = 26;
    return titled(option);
  },

  scatter(spec) {
    const t = state.theme;
    const all = spec.points.flatMap((p) => [p[0], p[1]]);
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const option = base({
      xAxis: xAxis(spec.x, { scale: true }), yAxis: yAxis(spec.y, {}),
      series: [{ type: "scatter", data: spec.points.map((p) => [p[0], p[1]]), symbolSize: spec.points.length > 600 ? 4 : 6, itemStyle: { color: t.blue, opacity: 0.55 }, z: 2 }, diagonal([low, high])],
    });
    option.tooltip.formatter = (p) => { const r = spec.points[p.dataIndex]; return tip(`Row ${r[2]}`, `true ${fmt(r[0])}`, `predicted ${fmt(r[1])}`, `residual ${fmt(r[1] - r[0])}`); };
    option.grid.bottom = 26;
    return titled(option);
  },

  shares(spec) {
    const t = state.theme;
    const { edges } = spec;
    const tones = spec.series.length > 1 ? [t.blue, t.orange] : [t.blue];
    const n = spec.series.length;
    const option = base({
      legend: { show: n > 1, top: 0, right: 8, textStyle: { color: t.text, fontSize: 12 }, itemWidth: 14, itemHeight: 10, icon: "rect", selectedMode: false },
      xAxis: xAxis(spec.x || "predicted probability", { min: edges[0], max: edges[edges.length - 1], splitLine: { show: false } }),
      yAxis: yAxis("share of rows", { min: 0, axisLabel: { color: t.muted, fontSize: 12, formatter: (v) => `${Math.round(100 * v)} %` } }),
      series: spec.series.map((line, k) => ({ type: "custom", name: line.name, itemStyle: { color: tones[k] }, encode: { x: [0, 1], y: 2 }, data: line.shares.map((s, i) => [edges[i], edges[i + 1], s]), renderItem: (_, api) => {
        const [x0, y0] = api.coord([api.value(0), api.value(2)]), [x1, y1] = api.coord([api.value(1), 0]);
        const width = (x1 - x0 - 2) / n;
        return { type: "rect", shape: { x: x0 + 1 + k * width, y: y0, width: Math.max(1, width), height: y1 - y0 }, style: { fill: tones[k] } };
      } })),
    });
    option.tooltip.formatter = (p) => tip(p.seriesName, `${spec.what || "probability"} ${fmt(p.value[0])} to ${fmt(p.value[1])}`, `${(100 * p.value[2]).toFixed(1)} % of these rows`);
    option.grid.bottom = 26;
    return titled(option);
  },

  histogram(spec) {
    const t = state.theme;
    const { edges, counts } = spec;
    const last = counts.length - 1;
    const beyond = (i) => (i === 0 && spec.below ? `down to ${fmt(spec.reach[0])}` : i === last && spec.above ? `up to ${fmt(spec.reach[1])}` : "");
    const option = base({
      xAxis: xAxis(spec.x, { scale: true, splitLine: { show: false } }),
      yAxis: yAxis("rows", { min: 0 }),
      series: [{ type: "custom", clip: true, encode: { x: [0, 1], y: 2 }, data: counts.map((c, i) => [edges[i], edges[i + 1], c]), renderItem: (_, api) => {
        const [x0, y0] = api.coord([api.value(0), api.value(2)]), [x1, y1] = api.coord([api.value(1), 0]);
        const text = beyond(_.dataIndex);
        const bar = { type: "rect", shape: { x: x0 + 0.5, y: y0, width: Math.max(1, x1 - x0 - 1), height: y1 - y0 }, style: { fill: text ? t.purple : t.blue } };
        if (!text) return bar;
        const isLow = _.dataIndex === 0;
        const label = { type: "text", style: { text, x: isLow ? x0 : x1, y: y0 - 4, align: isLow ? "left" : "right", verticalAlign: "bottom", fill: t.muted, fontSize: 12, fontFamily: t.font } };
        return { type: "group", children: [bar, label] };
      }, markLine: { symbol: "none", silent: true, label: { show: false }, lineStyle: { color: t.orange, type: "dashed", width: 2 }, data: [{ xAxis: 0 }] } }],
    });
    option.tooltip.formatter = (p) => tip(`${fmt(p.value[0])} to ${fmt(p.value[1])}`, `${fmt(p.value[2])} rows`, beyond(p.dataIndex) && `and beyond, ${beyond(p.dataIndex)}`);
    option.grid.bottom = 26;
    return titled(option);
  },
};

function diagonal([low, high]) {
  return { type: "line", silent: true, symbol: "none", data: [[low, low], [high, high]], lineStyle: { color: state.theme.grey, type: "dashed", width: 1.5 }, tooltip: { show: false }, z: 1 };
}
function logSlice(spec) {
  const { ticks, ...rest } = logAxis(spec.points.map((p) => p[0]));
  return { ...rest, splitLine: { show: false }, axisLabel: { color: state.theme.muted, fontSize: 12, hideOverlap: true, customValues: ticks, formatter: power } };
}
function medians(spec) {
  const byLevel = spec.levels.map((_, i) => spec.points.filter((p) => p[0] === i).map((p) => p[1]).sort((a, b) => a - b));
  const data = byLevel.map((scores, i) => (scores.length ? [i, clamp((scores[(scores.length - 1) >> 1] + scores[scores.length >> 1]) / 2, spec.range)] : null)).filter(Boolean);
  return { type: "custom", silent: true, z: 4, tooltip: { show: false }, data, renderItem: (_, api) => {
    const [x0, y] = api.coord([api.value(0) - 0.3, api.value(1)]), [x1] = api.coord([api.value(0) + 0.3, 0]);
    return { type: "line", shape: { x1: x0, y1: y, x2: x1, y2: y }, style: { stroke: state.theme.text, lineWidth: 2 } };
  } };
}
function band(epochs, low, high, fill) {
  const places = epochs.map((_, i) => i).filter((i) => Number.isFinite(low[i]) && Number.isFinite(high[i]));
  return { type: "custom", silent: true, clip: true, z: 0, tooltip: { show: false }, data: [[epochs[0], low[0]]], renderItem: (_, api) => ({
    type: "polygon", silent: true, style: { fill },
    shape: { points: [...places.map((i) => api.coord([epochs[i], high[i]])), ...[...places].reverse().map((i) => api.coord([epochs[i], low[i]]))] } }) };
}
/* Curves begin far from where they end: the worst tenth of the validation curve may lie outside. */
function robust(all, near, direction) {
  const sign = direction === "min" ? 1 : -1;
  const sorted = near.map((v) => sign * v).sort((a, b) => a - b);
  const best = Math.min(...all.map((v) => sign * v));
  const worst = sorted[sorted.length - 1];
  const most = sorted[Math.floor(0.9 * (sorted.length - 1))];
  const end = Math.min(worst, best + 2.2 * (most - best) || worst);
  const margin = 0.06 * (end - best) || 0.05 * Math.abs(best) || 0.5;
  const ends = [sign * (best - margin), sign * (end + margin)].sort((a, b) => a - b);
  return ranged(ends);
}

/* -- controls */

let nControls = 0;
function control(text, input) {
  const box = document.createElement("span");
  box.className = "control";
  input.id ||= `control-${nControls++}`;
  const label = document.createElement("label");
  label.htmlFor = input.id;
  label.textContent = text;
  box.append(...(input.type === "checkbox" ? [input, label] : [label, input]));
  return box;
}
function select(options, value, changed) {
  const input = document.createElement("select");
  for (const [key, text] of options) {
    const option = document.createElement("option");
    option.value = key;
    option.textContent = shortened(text, 90);
    input.append(option);
  }
  input.value = value;
  input.addEventListener("change", () => changed(input.value));
  return input;
}
function check(value, changed) {
  const input = document.createElement("input");
  input.type = "checkbox";
  input.checked = value;
  input.addEventListener("change", () => changed(input.checked));
  return input;
}
function controls(name) {
  return document.querySelector(`.controls[data-for="${name}"]`);
}
/* A trial is compared with others: the one that is shown is not among them. */
function offerOthers() {
  const input = document.getElementById("other");
  if (!input) return;
  if (input.value === String(state.trial)) input.value = settings.get("curves").other = "";
  for (const option of input.options) option.hidden = option.disabled = option.value === String(state.trial);
}
if (curves) {
  const own = { metric: curves.metrics[0], other: "", folds: true, log: false };
  settings.set("curves", own);
  const choices = curves.order.map((trial, i) => [trial, `${trial}${i ? "" : " (selected)"}: ${curves.labels[trial]}`]);
  const change = (name, value) => { own[name] = value; redraw("curves"); };
  const box = controls("curves");
  box.append(control("Trial", Object.assign(select(choices, curves.selected, (v) => choose(Number(v))), { id: "trial" })));
  if (choices.length > 1) {
    box.append(control("Compare with", Object.assign(select([["", "none"], ...choices], "", (v) => change("other", v)), { id: "other" })));
    offerOthers();
  }
  if (curves.metrics.length > 1) box.append(control("Metric", select(curves.metrics.map((m) => [m, m]), own.metric, (v) => change("metric", v))));
  if (Object.values(curves.trials).some((trial) => trial.folds)) box.append(control("single folds", check(true, (v) => change("folds", v))));
  box.append(control("logarithmic", check(false, (v) => change("log", v))));
}
if (specs.progress) {
  const own = { seconds: false };
  settings.set("progress", own);
  if (specs.progress.has_seconds) {
    controls("progress").append(control("Against", select([["trial", "trials in their order"], ["seconds", "seconds of training"]], "trial", (v) => { own.seconds = v === "seconds"; redraw("progress"); })));
  }
}
const FIRST_AXES = 10;
if (specs.parallel) {
  const own = { all: false };
  settings.set("parallel", own);
  const n = specs.parallel.axes.length;
  if (n > FIRST_AXES) {
    controls("parallel").append(control(`all ${n} hyperparameters, not only the first ${FIRST_AXES}`, check(false, (v) => { own.all = v; redraw("parallel"); })));
  }
}
function kept(chart) {
  const spec = specs.parallel;
  const rows = chart.getModel().getSeriesByIndex(0).getRawIndicesByActiveState("active");
  const isAll = rows.length === 0 || rows.length === spec.rows.length;
  const best = rows.length ? spec.rows[spec.rows.length - 1 - Math.max(...rows)] : null; // drawn from the last rank to the first
  const text = isAll ? "" : `${rows.length} of ${spec.rows.length} trials kept, the best is trial ${best.trial} with ${fixed(spec, best.score)}`;
  let said = controls("parallel").querySelector(".said");
  if (!said) {
    said = document.createElement("span");
    said.className = "said";
    said.setAttribute("role", "status");
    controls("parallel").append(said);
  }
  said.textContent = text;
}

/* -- drawing */

function heightOf(spec, box) {
  const isNarrow = box.clientWidth < 560;
  if (spec.kind === "forest") return Math.max(150, 62 + spec.rows.length * (isNarrow ? 46 : 38));
  if (spec.kind === "bars") return 62 + spec.rows.length * 24;
  if (spec.kind === "heat") return 90 + Math.max(80, Math.min(420, spec.folds.length * 22));
  if (spec.kind === "parallel") return box.clientWidth < 640 ? 90 + 64 * (axesShown(spec) + 1) : 420;
  if (spec.kind === "matrix") return Math.max(300, Math.min(620, 110 + 26 * spec.names.length));
  return null;
}
function axesShown(spec) {
  return settings.get("parallel").all ? spec.axes.length : Math.min(FIRST_AXES, spec.axes.length);
}
function paint(name) {
  const spec = specs[name];
  const box = document.getElementById(`chart-${name}`);
  if (spec.kind === "parallel") {
    const scroller = box.parentElement;
    const wanted = scroller.clientWidth >= 640 && settings.get("parallel").all ? 100 + 84 * axesShown(spec) : 0;
    const isWide = wanted > scroller.clientWidth;
    box.style.width = isWide ? `${wanted}px` : "";
    const known = { tabindex: "0", role: "group", "aria-label": "Parallel coordinates; scrolls sideways" };
    for (const [key, value] of Object.entries(known)) {
      if (isWide) scroller.setAttribute(key, value); else scroller.removeAttribute(key);
    }
  }
  const height = heightOf(spec, box);
  if (height) box.style.height = `${height}px`;
  let chart = drawn.get(name);
  if (!chart) {
    const isLarge = spec.kind === "heat" && spec.cells.length > 2000;
    chart = echarts.init(box, null, { renderer: isLarge ? "canvas" : "svg" });
    drawn.set(name, chart);
    chart.on("click", (p) => { const trial = chart.trialAt?.(p); if (trial !== null && trial !== undefined) choose(trial); });
    if (name === "parallel") chart.on("axisareaselected", () => kept(chart));
  } else {
    chart.resize();
  }
  const option = draw[spec.kind](spec, box);
  chart.trialAt = option.trialAt;
  delete option.trialAt;
  chart.setOption(withFont(option), true);
}
/* ECharts measures labels in its own font unless each is told the page's. */
function withFont(part) {
  for (const [key, value] of Object.entries(part)) {
    if (value === null || typeof value !== "object" || key === "data") continue;
    if (["axisLabel", "nameTextStyle", "textStyle", "label"].includes(key)) value.fontFamily = state.theme.font;
    if (Array.isArray(value)) value.forEach((item) => item && typeof item === "object" && withFont(item)); else withFont(value);
  }
  return part;
}
function redraw(name) {
  if (drawn.has(name)) paint(name);
}
const LINKED = ["ranked", "curves", "parallel", "progress"];
function choose(trial) {
  if (trial === state.trial || !curves || !curves.trials[trial]) return;
  state.trial = trial;
  const input = document.getElementById("trial");
  if (input) input.value = String(trial);
  offerOthers();
  for (const name of Object.keys(specs)) if (LINKED.includes(name) || specs[name].kind === "slice") redraw(name);
  mark();
  status.textContent = `Trial ${trial} is shown.`;
}
function mark() {
  for (const row of document.querySelectorAll("table.sortable tbody tr")) {
    row.classList.toggle("chosen", Number(row.cells[1].dataset.sort) === state.trial);
  }
}

const waiting = [...document.querySelectorAll(".chart")].map((box) => box.dataset.chart);
const SLICE_MILLISECONDS = 40; // of drawing, then the browser may paint and scroll
function next() {
  const until = performance.now() + SLICE_MILLISECONDS;
  do {
    const name = waiting.shift();
    if (name) paint(name);
  } while (waiting.length && performance.now() < until);
  if (waiting.length) later(); else finish();
}
function later() {
  setTimeout(next, 0);
}
function finish() {
  if (root.dataset.drawn) return;
  root.dataset.drawn = "yes";
  performance.mark("drawn");
}
function drawAll() {
  while (waiting.length) paint(waiting.shift());
  finish();
}
function retheme() {
  state.theme = readTheme();
  for (const name of drawn.keys()) paint(name);
}
shared.onTheme(retheme);

let width = innerWidth, timer = 0;
addEventListener("resize", () => {
  clearTimeout(timer);
  timer = setTimeout(() => { if (innerWidth !== width) { width = innerWidth; for (const name of drawn.keys()) paint(name); } }, 120);
});

/* Paper is white and 186 mm wide: charts are drawn for it, and drawn back. */
let onScreen = null;
addEventListener("beforeprint", () => {
  onScreen = root.dataset.theme ?? "";
  root.dataset.theme = "light";
  root.classList.add("printing");
  drawAll();
  retheme();
});
addEventListener("afterprint", () => {
  if (onScreen === null) return;
  if (onScreen) root.dataset.theme = onScreen; else delete root.dataset.theme;
  onScreen = null;
  root.classList.remove("printing");
  retheme();
});

/* -- tables, links, the contents */

shared.onRow((row) => choose(Number(row.cells[1].dataset.sort)));
for (const link of document.querySelectorAll("a[data-trial]")) {
  link.addEventListener("click", () => choose(Number(link.dataset.trial)));
}
for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copies).textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      status.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(document.getElementById(button.dataset.copies));
      button.textContent = "Press Ctrl-C";
    }
  });
}
const links = new Map([...document.querySelectorAll(".contents a")].map((a) => [a.hash.slice(1), a]));
const inView = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) inView[entry.isIntersecting ? "add" : "delete"](entry.target.id);
  const current = [...links.keys()].find((id) => inView.has(id));
  for (const [id, link] of links) { if (id === current) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current"); }
}, { rootMargin: "-15% 0px -70% 0px" });
for (const id of links.keys()) watcher.observe(document.getElementById(id));
if (innerWidth < 960) document.querySelector(".contents details").open = false;

state.theme = readTheme();
mark();
later();
})();
