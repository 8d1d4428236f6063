// A grid of tiles. Every card is a real link, so it can be opened in a new tab, bookmarked and reached by keyboard;
// a plain click stays on the page and tells Python which tile was meant. Names go in as text, never as markup.

const element = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};

function shareBar(shares, colours) {
  const bar = element("span", "shares");
  shares.forEach((share, index) => {
    if (share <= 0) return;
    const part = element("i");
    part.style.flexGrow = share;
    part.style.background = colours[index];
    bar.append(part);
  });
  const rest = 1 - shares.reduce((sum, share) => sum + share, 0);
  if (rest > 0.0005) {
    const part = element("i", "rest");
    part.style.flexGrow = rest;
    bar.append(part);
  }
  return bar;
}

function picture(card, withMask) {
  const frame = element("span", "frame");
  const image = element("img");
  Object.assign(image, { src: card.image, alt: `Tile ${card.name}`, loading: "lazy", decoding: "async" });
  frame.append(image);
  if (withMask && card.mask) {
    const mask = element("img", "mask");
    Object.assign(mask, { src: card.mask, alt: "", loading: "lazy", decoding: "async" });
    frame.append(mask);
  }
  if (card.badge) frame.append(element("span", "badge", card.badge));
  return frame;
}

function cardLink(card, data, open) {
  const link = element("a", card.id === data.selected ? "card selected" : "card");
  link.href = card.href;
  link.setAttribute("aria-label", `Tile ${card.name}, ${card.split}, ${card.status}`);
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(card.id);
  });
  const line = element("span", "line");
  line.append(element("b", "name", card.name), element("span", `split ${card.split}`, card.split));
  link.append(picture(card, data.masks), line);
  link.append(card.shares ? shareBar(card.shares, data.colours) : element("span", "status", card.status));
  return link;
}

function moveByArrows(grid) {
  grid.addEventListener("keydown", (event) => {
    const cards = [...grid.querySelectorAll("a.card")];
    const here = cards.indexOf(event.target);
    if (here < 0) return;
    const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    const next = step && cards[here + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".gallery");
  const key = JSON.stringify(data);
  if (root.dataset.shown === key) return;
  const shown = root.querySelector(".grid");
  const same = shown && root.dataset.cards === JSON.stringify([data.cards, data.masks]);
  root.dataset.shown = key;
  if (same) {
    // Only the selection moved: keep the pictures, the scroll position and the focus.
    [...shown.children].forEach((link, index) =>
      link.classList.toggle("selected", data.cards[index].id === data.selected));
    return;
  }
  root.dataset.cards = JSON.stringify([data.cards, data.masks]);
  const grid = element("div", "grid");
  grid.append(...data.cards.map((card) => cardLink(card, data, (id) => setTriggerValue("open", id))));
  moveByArrows(grid);
  root.replaceChildren(grid);
}
