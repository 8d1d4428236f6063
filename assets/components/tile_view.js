// One tile with its mask over it. Opacity changes here, in the browser: no rerun, no new picture.

export default function ({ parentElement, data }) {
  const view = parentElement.querySelector(".view");
  const [image, mask] = view.querySelectorAll("img");
  const controls = view.querySelector(".controls");
  const [toggle, range] = controls.querySelectorAll("input");
  const paint = () => {
    mask.style.opacity = toggle.checked ? range.value / 100 : 0;
    range.disabled = !toggle.checked;
    view.querySelector("output").textContent = `${range.value} %`;
  };
  if (image.getAttribute("src") !== data.image) {
    image.src = data.image;
    image.alt = data.alt;
    view.querySelector(".frame").style.aspectRatio = data.aspect;
  }
  controls.hidden = !data.mask;
  mask.hidden = !data.mask;
  if (data.mask && mask.getAttribute("src") !== data.mask) mask.src = data.mask;
  toggle.oninput = paint;
  range.oninput = paint;
  paint();
}
