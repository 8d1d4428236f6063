// A picture of the whole tile over the image: provenance, a difference, an agreement map. Any size; stretched to the
// tile.

export class TilePicture {
  /** `above` the labels, or under them; `label` says what it is. */
  constructor(painter, { url, above = true, label, opacity = 0.8 }) {
    Object.assign(this, { painter, url, above, label, opacity, image: null, trouble: null, closed: false });
    this.load();
  }

  /** Fetch it, or fetch it anew: what was there is seen until then. */
  async load() {
    try {
      const image = await createImageBitmap(await (await this.painter.get(this.url)).blob());
      this.image?.close();
      Object.assign(this, { image, trouble: null });
    } catch (error) {
      this.trouble = error.message;
    }
    if (this.closed) this.close();
    else this.painter.screen.redraw();
  }

  close() {
    this.closed = true;
    this.image?.close();
    this.image = null;
  }

  setOpacity(opacity) {
    this.opacity = opacity;
    this.painter.screen.redraw();
  }

  draw(context, view) {
    if (!this.image) return;
    const [x, y] = view.toScreen(0, 0);
    context.save();
    context.globalAlpha = this.opacity;
    context.imageSmoothingEnabled = view.scale < 1;
    context.drawImage(this.image, x, y, view.tileWidth * view.scale, view.tileHeight * view.scale);
    context.restore();
  }
}
