// Figures of the side panel: rows of a legend, shares and times.

/** Rows of a legend: a colour, a name and a figure each. */
export function legend(element, rows) {
  element.replaceChildren(...rows.map(({ colour, name, text }) => {
    const row = document.createElement("li"), dot = document.createElement("i"), label = document.createElement("span"), figure = document.createElement("b");
    dot.style.background = colour;
    label.textContent = name;
    figure.textContent = text;
    row.append(dot, label, figure);
    return row;
  }));
}

export function percent(share) {
  if (share === 0) return "0 %";
  if (share < 0.001) return "< 0.1 %";
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}

/** Today's times without their day. */
export function moment(iso) {
  const date = new Date(iso), isToday = date.toDateString() === new Date().toDateString();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return isToday ? time : `${date.toLocaleDateString()} ${time}`;
}
