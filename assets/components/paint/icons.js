// Our own line icons on a 20 x 20 grid, drawn in the text's colour.

const PATHS = {
  brush: '<path d="M16.5 3.5 9 11l-2-.2L6.8 9 14.3 1.8a1.3 1.3 0 0 1 2.2 1.7Z" transform="translate(.6 .8)"/><path d="M7.3 11.6c-2.4-.3-3.6 1-3.8 3-.1 1.2-.7 1.9-1.5 2.3 3.2 1 6.3.2 6.8-2.7"/>',
  eraser: '<path d="m8 16.5-4.6-4.6a1.5 1.5 0 0 1 0-2.1L9.8 3.4a1.5 1.5 0 0 1 2.1 0l4.7 4.7a1.5 1.5 0 0 1 0 2.1l-6.3 6.3Z"/><path d="m6.4 6.8 6.8 6.8M8 16.5h9"/>',
  polygon: '<path d="M4 7.5 11 3l5.5 5-2.5 8.5H6.5Z"/><circle cx="4" cy="7.5" r="1.6" class="solid"/><circle cx="11" cy="3" r="1.6" class="solid"/><circle cx="16.5" cy="8" r="1.6" class="solid"/><circle cx="14" cy="16.5" r="1.6" class="solid"/><circle cx="6.5" cy="16.5" r="1.6" class="solid"/>',
  lasso: '<path d="M10 3.2c4 0 7 1.9 7 4.7s-3 4.7-7 4.7-7-1.9-7-4.7 3-4.7 7-4.7Z" stroke-dasharray="2.8 1.7"/><path d="M6.6 12.2c-1.6.6-1.9 2.6-.3 3 1.8.4 2.2-2.6.2-3.1M6.6 15.3c.5 1 .2 1.8-.9 2.4"/>',
  fill: '<path d="m9.2 2.6 7 7-6.3 6.3a1.6 1.6 0 0 1-2.3 0l-4.7-4.7a1.6 1.6 0 0 1 0-2.3Z"/><path d="M2.6 10.2h13M8 1.6l2.4 2.4"/><path d="M17.6 13.2c.9 1.5 1.2 2.2 1.2 2.9a1.3 1.3 0 0 1-2.6 0c0-.7.4-1.4 1.4-2.9Z" class="solid" transform="translate(-.6 .4)"/>',
  superpixel: '<path d="M3 5.5 8 3l5 2 4-1.5M3 5.5 4 11l-1 5 6 1 3-1 5 .8.2-6.3L17 3.5M8 3l1.5 5L4 11M9.5 8 14 9.5l3.2 1M14 9.5 13 5M9.5 8l1 5L9 17M10.5 13l-6.5-2M10.5 13 14 9.5M10.5 13l1.5 3"/>',
  click: '<path d="m8 8 3.1 9.3 1.7-3.9 3.9-1.7Z"/><path d="M7 2.5v2M2.5 7h2M3.8 3.8l1.5 1.5M10.2 3.8 8.9 5.1M3.8 10.2l1.5-1.3"/>',
  suggestion: '<path d="m3.5 16.5 8-8M13.8 2.5l.8 2.4 2.4.8-2.4.8-.8 2.4-.8-2.4-2.4-.8 2.4-.8Z"/><path d="m5.3 3 .5 1.7 1.7.5-1.7.5-.5 1.7-.5-1.7-1.7-.5 1.7-.5ZM15.3 12l.5 1.5 1.5.5-1.5.5-.5 1.5-.5-1.5-1.5-.5 1.5-.5Z"/>',
  picker: '<path d="m11 6.5 2.5 2.5-7 7H4v-2.5ZM10 5.5 14.5 10M12 7l2.3-2.9a1.8 1.8 0 0 1 2.6 2.5L13.9 9"/>',
  rectangle: '<rect x="3" y="4.5" width="14" height="11" rx="1"/>',
  hand: '<path d="M10 2.5v15M2.5 10h15M10 2.5 8 4.5m2-2 2 2M10 17.5l-2-2m2 2 2-2M2.5 10l2-2m-2 2 2 2M17.5 10l-2-2m2 2-2 2"/>',
  undo: '<path d="M7 4 3.5 7.5 7 11M3.5 7.5H12a4.3 4.3 0 0 1 0 8.6H8"/>',
  redo: '<path d="m13 4 3.5 3.5L13 11M16.5 7.5H8a4.3 4.3 0 0 0 0 8.6h4"/>',
  eye: '<path d="M1.8 10S4.7 4.8 10 4.8 18.2 10 18.2 10 15.3 15.2 10 15.2 1.8 10 1.8 10Z"/><circle cx="10" cy="10" r="2.5"/>',
  outline: '<path d="M5 4.5c3-2.5 9-2 10.5 1.5s1.5 7-2 9-8 1-9.5-2-1.5-6.5 1-8.5Z" stroke-dasharray="2.6 1.8"/>',
  fit: '<path d="M3 7V3h4M13 3h4v4M17 13v4h-4M7 17H3v-4"/><rect x="6.5" y="6.5" width="7" height="7" rx=".6"/>',
  plus: '<circle cx="8.5" cy="8.5" r="5.5"/><path d="m12.8 12.8 4.2 4.2M6 8.5h5M8.5 6v5"/>',
  minus: '<circle cx="8.5" cy="8.5" r="5.5"/><path d="m12.8 12.8 4.2 4.2M6 8.5h5"/>',
  fullscreen: '<path d="M3 7V3h4M13 3h4v4M17 13v4h-4M7 17H3v-4"/>',
  lock: '<rect x="4.5" y="9" width="11" height="8" rx="1.5"/><path d="M7 9V6.5a3 3 0 0 1 6 0V9"/>',
  "open-lock": '<rect x="4.5" y="9" width="11" height="8" rx="1.5"/><path d="M7 9V6a3 3 0 0 1 5.8-1"/>',
  fold: '<path d="m5 8 5 5 5-5"/>',
  cross: '<path d="m5 5 10 10M15 5 5 15"/>',
  help: '<circle cx="10" cy="10" r="7.5"/><path d="M7.8 8a2.2 2.2 0 1 1 3.3 1.9c-.8.5-1.1.9-1.1 1.7"/><circle cx="10" cy="14" r=".9" class="solid"/>',
};

export const icon = (name) => `<svg viewBox="0 0 20 20" aria-hidden="true">${PATHS[name]}</svg>`;
