// From far away a map tile shows thousands of tiles, from a sheet of micro pictures that is filled once. Each question
// lets the server draw for a moment; this asks until nothing is left.

const known = new Set(); // addresses that are prepared, for as long as this page lives

export async function prepared(address, wanted, told) {
  const question = address.replace(/\{z\}[^?]*/, "prepare.json");
  if (known.has(question)) return;
  let left = 1;
  while (left && wanted()) {
    const answer = await fetch(question).then((one) => (one.ok ? one.json() : null), () => null);
    left = answer?.left ?? 0;
    if (left) told(left, answer.of);
  }
  told(0, 0);
  if (wanted()) known.add(question);
}
