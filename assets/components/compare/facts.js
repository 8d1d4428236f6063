// Switches as core/inference/switches.py writes them: only what is on; and the same in words.

/** The facts with one switch at another value; "none", 0 and [] are off. */
export function withSwitch(facts, name, value) {
  const changed = { ...facts };
  const off = value === "none" || value === 0 || value?.length === 0;
  if (name === "refinement") {
    delete changed.crf;
    delete changed.guided;
  }
  if (name === "min_region") delete changed.class_regions;
  if (off) delete changed[name];
  else changed[name] = value;
  return changed;
}

export const valueOf = (facts, name) => facts[name] ?? (name === "tta" || name === "refinement" ? "none" : 0);

/** The switches in words; `words` are those of the options. Of a refinement, what is not its own number is told. */
export function describe(facts, words) {
  const parts = [];
  if (facts.tta) parts.push(`TTA ${words.tta[facts.tta]}`);
  if (facts.gate) parts.push(`gate ${percent(facts.gate)}`);
  if (facts.refinement) parts.push(words.refinement[facts.refinement] + ownNumbers(facts, words));
  if (facts.offsets) parts.push("offsets");
  if (facts.class_regions) parts.push("regions by class");
  else if (facts.min_region) parts.push(`regions from ${facts.min_region} px`);
  if (facts.abstain) parts.push(`unlabelled below ${percent(facts.abstain)}`);
  return parts.join(", ") || "no switches";
}

export const percent = (share) => `${+(share * 100).toFixed(1)} %`;

function ownNumbers(facts, words) {
  const usual = words.parameters[facts.refinement];
  const changed = Object.entries(facts[facts.refinement] ?? {}).filter(([name, value]) => usual[name] !== value);
  return changed.length ? ` (${changed.map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`).join(", ")})` : "";
}
