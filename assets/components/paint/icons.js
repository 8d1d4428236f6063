// Our own line icons on a 20 x 20 grid, drawn in the text's colour.

const PATHS = {
  brush: '<path d="M16.5 3.5 9 11l-2-.2L6.8 9 14.3 1.8a1.3 1.3 0 0 1 2.2 1.7Z" transform="translate(.6 .8)"/><path d="M7.3 11.6c-2.4-.3-3.6 1-3.8 3-.1 1.2-.7 1.9-1.5 2.3 3.2 1 6.3.2 6.8-2.7"/>',
  eraser: '<path d="m8 16.5-4.6-4.6a1.5 1.5 0 0 1 0-2.1L9.8 3.4a1.5 1.5 0 0 1 2.1 0l4.7 4.7a1.5 1.5 0 0 1 0 2.1l-6.3 6.3Z"/><path d="m6.4 6.8 6.8 6.8M8 16.5h9"/>',
  polygon: '<path d="M4 7.5 11 3l5.5 5-2.5 8.5H6.5Z"/><circle cx="4" cy="7.5" r="1.6" class="solid"/><circle cx="11" cy="3" r="1.6" class="solid"/><circle cx="16.5" cy="8" r="1.6" class="solid"/><circle cx="14" cy="16.5" r="1.6" class="solid"/><circle cx="6.5" cy="16.5" r="1.6" class="solid"/>',
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
  help: '<circle cx="10" cy="10" r="7.5"/><path d="M7.8 8a2.2 2.2 0 1 1 3.3 1.9c-.8.5-1.1.9-1.1 1.7"/><circle cx="10" cy="14" r=".9" class="solid"/>',
};

export const icon = (name) => `<svg viewBox="0 0 20 20" aria-hidden="true">${PATHS[name]}</svg>`;
