// Lines on the overlay, drawn twice, dark below light, so that they show on snow and on water.

export function strokeTwice(context, ink, width) {
  context.lineWidth = width + 2;
  context.strokeStyle = "rgb(0 0 0 / 0.65)";
  context.stroke();
  context.lineWidth = width;
  context.strokeStyle = ink;
  context.stroke();
}

/** Rings of tile points, filled by the even-odd rule. */
export function drawRings(context, view, rings, ink) {
  context.beginPath();
  for (const ring of rings) {
    ring.forEach(([x, y], i) => {
      const at = view.toScreen(x, y);
      if (i) context.lineTo(...at);
      else context.moveTo(...at);
    });
    context.closePath();
  }
  context.globalAlpha = 0.3;
  context.fillStyle = ink;
  context.fill("evenodd");
  context.globalAlpha = 1;
  strokeTwice(context, ink, 1.5);
}

/** A dot at a tile point that may be clicked. */
export function drawHandle(context, view, point, ink) {
  context.beginPath();
  context.arc(...view.toScreen(...point), 5, 0, 2 * Math.PI);
  context.fillStyle = "#ffffff";
  context.fill();
  strokeTwice(context, ink, 2);
}

/** Text with a dark rim. */
export function drawText(context, text, x, y) {
  context.lineWidth = 3;
  context.lineJoin = "round";
  context.strokeStyle = "rgb(0 0 0 / 0.65)";
  context.strokeText(text, x, y);
  context.fillStyle = "#ffffff";
  context.fillText(text, x, y);
}
