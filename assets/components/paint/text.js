// Text into HTML.

export const escape = (text) => String(text).replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);

export const capital = (text) => text[0].toUpperCase() + text.slice(1);
