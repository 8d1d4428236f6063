// Every tool, in the order of the toolbar. A new one is one import and one place in this list, and one row in the
// table of commands.js.

import { Brush, Eraser } from "./brush.js";
import { Click } from "./click.js";
import { Fill } from "./fill.js";
import { Hand } from "./hand.js";
import { Picker } from "./picker.js";
import { Rectangle } from "./rectangle.js";
import { Lasso, Polygon } from "./rings.js";
import { Suggestion } from "./suggestion.js";
import { Superpixel } from "./superpixel.js";

const TOOLS = [Brush, Eraser, Polygon, Lasso, Rectangle, Fill, Superpixel, Click, Suggestion, Picker, Hand];

/** One of each, by id. */
export const toolsFor = (painter) => Object.fromEntries(TOOLS.map((Kind) => [Kind.id, new Kind(painter)]));
