// What says which picture lies over the image (painter.showPicture), with its opacity and a button that takes it away.

import { icon } from "./icons.js";

export class PictureBar {
  constructor(root, painter) {
    Object.assign(this, { root, painter, picture: null });
    root.innerHTML = `<b></b><input type="range" min="0.05" max="1" step="0.05" aria-label="Opacity of the picture">
      <button type="button" aria-label="Take the picture away" title="Take the picture away">${icon("cross")}</button>`;
    [this.label, this.slider, this.close] = root.children;
    this.slider.addEventListener("input", () => this.picture.setOpacity(Number(this.slider.value)));
    this.close.addEventListener("click", () => painter.showPicture(null));
  }

  update() {
    const { picture } = this.painter;
    this.picture = picture;
    this.root.hidden = !picture;
    if (!picture) return;
    this.label.textContent = picture.trouble ?? (picture.image ? picture.label : `${picture.label}…`);
    this.slider.value = picture.opacity;
  }
}
