// A grid of tiles. Every card is a real link, so it can be opened in a new tab, bookmarked and reached by keyboard; a
// plain click stays on the page and tells Python which tile was meant. Names go in as text, never as markup.
//
// Cards that stay from one page to the next keep their pictures. What is selected is kept here at once and told to
// Python with a number that grows, so that an answer to an older click takes nothing back.

const SIDE = "(min-width: 900px) 190px, 45vw"; // what a card takes: the browser chooses the thumbnail by it

const galleries = new WeakMap(); // the component's element -> its Gallery

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

function picture(card) {
  const frame = element("span", "frame");
  const image = element("img");
  image.onerror = () => frame.classList.add("broken");
  const sources = { sizes: SIDE, srcset: card.images.map(([address, side]) => `${address} ${side}w`).join(", ") };
  Object.assign(image, { loading: "lazy", decoding: "async", alt: "", ...sources, src: card.images[0][0] });
  frame.append(image);
  if (card.mask) {
    const mask = element("img", "mask");
    mask.onerror = () => mask.remove();
    Object.assign(mask, { loading: "lazy", decoding: "async", alt: "", src: card.mask });
    frame.append(mask);
  }
  if (card.badge) frame.append(element("span", "badge", card.badge));
  return frame;
}

function cell(card, data) {
  const item = element("li", "cell");
  const link = element("a", "card");
  link.href = card.href;
  link.tabIndex = -1;
  const said = [`Tile ${card.name}`, card.split || "in no split", card.status, ...card.figures, card.badge];
  link.setAttribute("aria-label", said.filter(Boolean).join(", "));
  const line = element("span", "line");
  line.append(element("b", "name", card.name), element("span", `split ${card.split || "none"}`, card.split || "no split"));
  link.append(picture(card), line);
  if (data.figured) link.append(element("span", "figures", card.figures.join(" · ") || "–"));
  link.append(card.shares ? shareBar(card.shares, data.colours) : element("span", "status", card.status));
  const pick = element("button", "pick");
  const like = element("button", "like");
  for (const button of [pick, like]) Object.assign(button, { type: "button", tabIndex: -1 });
  pick.setAttribute("aria-label", `Select tile ${card.name}`);
  pick.title = "Select (Space); with Shift all up to here";
  like.setAttribute("aria-label", `Find tiles that look like ${card.name}`);
  like.title = "Find tiles that look like this one";
  item.append(link, pick, ...(data.likeness ? [like] : []));
  return item;
}

class Gallery {
  constructor(root) {
    this.root = root;
    this.cells = new Map(); // id -> { item, key }
    this.ids = [];
    this.marked = new Set(); // of this page
    this.turn = 0;
    this.anchor = null; // where a range begins
    this.turned = 0; // +1, -1: a page was turned by the keyboard, and its first or last card takes the focus
    this.grid = element("ul", "grid");
    this.said = element("div", "said");
    this.said.setAttribute("aria-live", "polite");
    root.replaceChildren(this.said, this.grid);
    this.grid.addEventListener("click", (event) => this.clicked(event));
    this.grid.addEventListener("keydown", (event) => this.pressed(event));
    this.grid.addEventListener("focusin", (event) => this.focused(event));
  }

  show(data) {
    const key = JSON.stringify(data);
    if (this.shown === key) return;
    const sameCards = this.data && JSON.stringify(this.data.cards) === JSON.stringify(data.cards);
    [this.shown, this.data] = [key, data];
    this.grid.setAttribute("aria-label", data.title);
    this.grid.style.setProperty("--tw-opacity", data.opacity);
    if (!sameCards) this.lay();
    if (data.turn >= this.turn || !sameCards) [this.turn, this.marked] = [data.turn, new Set(data.marked)];
    this.paint();
    if (this.turned && !sameCards) {
      this.cells.get(this.ids.at(this.turned > 0 ? 0 : -1))?.item.querySelector("a").focus();
      this.turned = 0;
      this.say(data.title);
    }
  }

  lay() {
    const here = this.root.getRootNode().activeElement?.closest?.(".cell")?.dataset.id;
    const before = this.cells;
    this.cells = new Map();
    for (const card of this.data.cards) {
      const key = JSON.stringify([card, this.data.colours, this.data.figured, this.data.likeness]);
      const kept = before.get(card.id);
      const item = kept?.key === key ? kept.item : cell(card, this.data);
      item.dataset.id = card.id;
      this.cells.set(card.id, { item, key });
    }
    this.ids = this.data.cards.map((card) => card.id);
    this.grid.replaceChildren(...this.ids.map((id) => this.cells.get(id).item));
    this.current = this.ids.includes(this.current) ? this.current : this.ids[0];
    this.rove();
    if (here) this.cells.get(Number(here))?.item.querySelector("a").focus({ preventScroll: true });
  }

  paint() {
    this.grid.classList.toggle("choosing", this.marked.size > 0);
    for (const [id, { item }] of this.cells) {
      item.classList.toggle("open", id === this.data.selected);
      item.classList.toggle("marked", this.marked.has(id));
      item.querySelector(".pick").setAttribute("aria-pressed", this.marked.has(id));
    }
  }

  /** One card is reached by Tab; the arrows lead to the others. */
  rove() {
    for (const [id, { item }] of this.cells) item.querySelector("a").tabIndex = id === this.current ? 0 : -1;
  }

  focused(event) {
    const item = event.target.closest(".cell");
    if (!item) return;
    this.current = Number(item.dataset.id);
    this.rove();
  }

  clicked(event) {
    const item = event.target.closest(".cell");
    if (!item || event.ctrlKey || event.metaKey) return;
    const id = Number(item.dataset.id);
    event.preventDefault();
    if (event.target.closest(".like")) this.tell("like", id);
    else if (event.target.closest(".pick") || event.shiftKey) this.mark(id, event.shiftKey);
    else this.tell("open", id);
  }

  mark(id, range) {
    const on = !this.marked.has(id);
    const from = range ? this.ids.indexOf(this.anchor) : -1;
    const to = this.ids.indexOf(id);
    const meant = from < 0 ? [id] : this.ids.slice(Math.min(from, to), Math.max(from, to) + 1);
    for (const one of meant) on || from >= 0 ? this.marked.add(one) : this.marked.delete(one);
    this.anchor = id;
    this.turn += 1;
    this.paint();
    this.tell("marked", { turn: this.turn, page: this.ids, marked: [...this.marked] });
    this.say(`${this.marked.size} of this page selected`);
  }

  pressed(event) {
    const at = this.ids.indexOf(this.current);
    if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const columns = getComputedStyle(this.grid).gridTemplateColumns.split(" ").length;
    const last = this.ids.length - 1;
    const moves = {
      ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns, Home: 0, End: last,
    };
    if (event.key in moves) {
      const target = this.ids[moves[event.key]];
      if (target !== undefined) this.cells.get(target).item.querySelector("a").focus();
    } else if (event.key === " ") this.mark(this.current, event.shiftKey);
    else if (event.key === "PageDown" || event.key === "PageUp") this.leaf(event.key === "PageDown" ? 1 : -1);
    else return;
    event.preventDefault();
  }

  leaf(step) {
    const number = this.data.page + step;
    if (number < 1 || number > this.data.pages) {
      this.say(step > 0 ? "This is the last page" : "This is the first page");
      return;
    }
    this.turned = step;
    this.tell("leaf", number);
  }

  say(words) {
    this.said.textContent = words;
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".gallery");
  let gallery = galleries.get(root);
  if (!gallery) galleries.set(root, (gallery = new Gallery(root)));
  gallery.tell = setTriggerValue;
  gallery.show(data);
}
