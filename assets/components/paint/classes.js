// The values of the class raster: 0 to 5 are the classes, in the order in which the page gives them.

export const UNLABELLED = 255;
