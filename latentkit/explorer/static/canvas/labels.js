// Which rows of a picture get a label when there is no room for all.

/**
 * Choose the rows with a label: all of them, else those at round positions that are far enough apart.
 * @param {number[]} positions Of the rows, from top to bottom, in any order.
 * @param {number} rowHeight
 * @param {number} height Of a label; two labels are at least as far apart.
 * @returns {number[]} Places, counted from the top.
 */
export function labelledPlaces(positions, rowHeight, height) {
  const places = positions.map((_, place) => place);
  const step = roundStep(height / rowHeight);
  if (step === 1) return places;
  /** @type {number[]} */
  const round = [];
  for (const place of places) {
    const isFar = !round.length || place - round[round.length - 1] >= step;
    if (isFar && positions[place] % step === 0) round.push(place);
  }
  return round.length * 2 * step >= positions.length ? round : places.filter((place) => place % step === 0);
}

/** The smallest of 1, 2, 5, 10, 20, … that is large enough. @param {number} least */
function roundStep(least) {
  for (let power = 1; ; power *= 10) {
    for (const digit of [1, 2, 5]) if (digit * power >= least) return digit * power;
  }
}
