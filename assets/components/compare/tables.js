// The figures under the panels: IoU by class on this tile, and what each switch that is on changes.

import { seconds } from "./side_row.js";
import { make } from "./stages.js";

const SWITCHES = {
  tta: "TTA", gate: "Rare classes", refinement: "Refinement", offsets: "Offsets", regions: "Regions", abstain: "Unsure",
};

/** IoU of A and of B by class on one tile, and the difference as a bar. */
export function tileTable(tile, sides, classes) {
  const box = make("section", "figures"), [a, b] = ["a", "b"].map((letter) => sides[letter].scores);
  box.append(make("h3", "", `IoU on tile ${tile.name}`));
  box.classList.toggle("old", sides.a.old || sides.b.old);
  if (!tile.truth) {
    box.append(make("p", "hint", "This tile came without a mask: the panels show where A and B differ, not who is right."));
    return box;
  }
  if (!a || !b) {
    box.append(make("p", "hint", "Told as soon as both predictions are there."));
    return box;
  }
  const names = classes.map((known) => known.name).filter((name) => name in a.iou || name in b.iou);
  const rows = [["mean", a.miou, b.miou], ...names.map((name) => [name, a.iou[name], b.iou[name]])];
  box.append(table(["class", "A", "B", "A − B"], rows.map(([name, ofA, ofB]) => [name, score(ofA), score(ofB), bar(ofA, ofB)])));
  if (sides.a.part) box.append(make("p", "hint", "Judged on the part of the tile that both cover."));
  box.append(make("p", "hint", "Classes in the tile's truth. One tile tells nothing about others: that is below."));
  return box;
}

/** What the switches that are on change; `onCompute(letter, facts)` makes what is missing for it. */
export function effectTable(sides, tile, classes, onCompute) {
  const box = make("section", "figures wide"), rows = [];
  for (const letter of ["a", "b"]) {
    for (const effect of sides[letter].effects ?? []) rows.push(...effectRows(letter, effect, classes, onCompute));
  }
  box.append(make("h3", "", "What each switch changes in IoU"));
  box.classList.toggle("old", sides.a.old || sides.b.old);
  if (!rows.length) {
    const waits = ["a", "b"].some((letter) => sides[letter].old && Object.keys(sides[letter].facts).length);
    if (waits) box.append(make("p", "hint", "Told as soon as the prediction is there and counted."));
    else box.append(make("p", "hint", "No switch is on. Choose one above: what it changes here, over the held-out tiles, and what it costs, is told here."));
    return box;
  }
  box.append(table(["switch", "costs", "on", "mean", ...classes.map((known) => known.name)], rows));
  const few = ["a", "b"].some((letter) => (sides[letter].effects ?? []).some((one) => one.over?.note));
  box.append(make("p", "hint",
    "With the switch minus without it, all else the same. Small print: 95 % interval, paired over whole tiles that the run " +
    `did not train on and that are computed in both ways.${few ? " Fewer than 5 tiles: the intervals are rough." : ""} ` +
    `Costs: measured when tile ${tile.name} was predicted.`));
  return box;
}

function effectRows(letter, effect, classes, onCompute) {
  const { before, after, over } = effect, names = ["mean", ...classes.map((known) => known.name)];
  const title = `${letter.toUpperCase()}: ${SWITCHES[effect.name]}`;
  const cost = effect.seconds === null ? "not timed" : `+${seconds(effect.seconds)}`;
  const here = before && after
    ? names.map((name) => change(value(after, name) - value(before, name), `${score(value(before, name))} → ${score(value(after, name))}`))
    : [missing(letter, effect, before, onCompute)];
  const most = effect.tiles.length;
  const there = over
    ? names.map((name) => withInterval(name === "mean" ? over.miou : over.iou[name]))
    : [make("span", "hint", `needs more tiles: at least 2 held-out ones, computed both with it and without`)];
  return [[title, cost, "this tile", ...here], ["", "", `${most} tile${most === 1 ? "" : "s"}`, ...there]];
}

const value = (scores, name) => (name === "mean" ? scores.miou : (scores.iou[name] ?? NaN));

function missing(letter, effect, before, onCompute) {
  if (before) return make("span", "hint", "counted as soon as it is computed");
  const box = make("span", "hint", "not computed without it "), button = make("button", "", "Compute");
  button.type = "button";
  button.onclick = () => onCompute(letter, effect.without);
  box.append(button);
  return box;
}

function change(difference, title) {
  if (Number.isNaN(difference)) return make("span", "hint", "–");
  const cell = make("span", "", signed(difference)); // without an interval it takes no side
  cell.title = title;
  return cell;
}

function withInterval(difference) {
  if (!difference) return make("span", "hint", "–");
  const [low, high] = difference.interval, told = difference.verdict !== "cannot tell";
  const cell = make("span", told ? tone(difference.value) : "untold", signed(difference.value));
  cell.append(make("small", "", `${signed(low)} to ${signed(high)}`));
  cell.title = told ? `${difference.verdict} with the switch` : "Cannot tell: the interval holds zero";
  return cell;
}

function bar(a, b) {
  if (a === undefined || b === undefined) return make("span", "hint", "–");
  const box = make("span", "bar-cell"), line = make("i", a > b ? "of-a" : "of-b");
  line.style.setProperty("--length", `${Math.min(26, Math.abs(a - b) * 52)}px`);
  box.append(line, make("span", "", signed(a - b)));
  return box;
}

function table(heads, rows) {
  const made = make("table"), head = make("tr"), body = make("tbody"), top = make("thead");
  head.append(...heads.map((text) => {
    const cell = make("th", "", text);
    cell.scope = "col";
    return cell;
  }));
  top.append(head);
  for (const row of rows) {
    const line = make("tr");
    row.forEach((content, i) => {
      const cell = make(i === 0 ? "th" : "td");
      if (i === 0) cell.scope = "row";
      if (i === row.length - 1) cell.colSpan = heads.length - row.length + 1;
      cell.append(content);
      line.append(cell);
    });
    body.append(line);
  }
  made.append(top, body);
  return made;
}

const score = (number) => (number === undefined || Number.isNaN(number) ? "–" : number.toFixed(3));
const signed = (number) => `${Math.abs(number) < 0.0005 ? "±" : number < 0 ? "−" : "+"}${Math.abs(number).toFixed(3)}`;
const tone = (difference) => (difference >= 0.0005 ? "up" : difference <= -0.0005 ? "down" : "");
