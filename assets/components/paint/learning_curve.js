// The curve 'mIoU per labelled minute' as a small drawing: the score on held-out tiles against the minutes spent
// labelling, with its interval as a band.

const WIDTH = 190, HEIGHT = 96, LEFT = 28, RIGHT = 8, TOP = 8, BOTTOM = 30;

/** An <svg> of points [minutes, miou, low, high]; empty below two points, which make no curve. */
export function learningCurve(points) {
  if (points.length < 2) return "";
  const last = Math.max(...points.map(([minutes]) => minutes), 1e-6);
  const floor = Math.floor(10 * Math.min(...points.map(([, miou, low]) => low ?? miou))) / 10;
  const roof = Math.max(floor + 0.1, Math.ceil(10 * Math.max(...points.map(([, miou, , high]) => high ?? miou))) / 10);
  const x = (minutes) => (LEFT + ((WIDTH - LEFT - RIGHT) * minutes) / last).toFixed(1);
  const y = (score) => (TOP + ((HEIGHT - TOP - BOTTOM) * (roof - score)) / (roof - floor)).toFixed(1);
  const line = points.map(([minutes, miou]) => `${x(minutes)},${y(miou)}`).join(" ");
  const upper = points.map(([minutes, miou, , high]) => `${x(minutes)},${y(high ?? miou)}`);
  const lower = points.map(([minutes, miou, low]) => `${x(minutes)},${y(low ?? miou)}`).reverse();
  const [minutes, miou] = points.at(-1);
  const ground = HEIGHT - BOTTOM;
  return `
    <svg class="learning-curve" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="mIoU on held-out tiles per labelled minute: ${miou.toFixed(2)} after ${minutes.toFixed(1)} minutes">
      <path class="axis" d="M${LEFT} ${TOP}V${ground}H${WIDTH - RIGHT}"/>
      <text x="${LEFT - 4}" y="${TOP + 4}" text-anchor="end">${roof.toFixed(1)}</text>
      <text x="${LEFT - 4}" y="${ground + 3}" text-anchor="end">${floor.toFixed(1)}</text>
      <text x="${LEFT}" y="${ground + 13}" text-anchor="middle">0</text>
      <text x="${WIDTH - RIGHT}" y="${ground + 13}" text-anchor="end">${last < 10 ? last.toFixed(1) : Math.round(last)} min</text>
      <text class="name" x="${LEFT}" y="${HEIGHT - 3}">mIoU per labelled minute</text>
      <polygon class="band" points="${[...upper, ...lower].join(" ")}"/>
      <polyline class="line" points="${line}"/>
      <circle class="dot" cx="${x(minutes)}" cy="${y(miou)}" r="2.6"/>
    </svg>`;
}
