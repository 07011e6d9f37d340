// Texts of tokens with every character visible: latentkit.view.labels.visible_token. A test compares both.

const UNSEEN = /^[\p{Cc}\p{Cf}\p{Cs}\p{Cn}\p{Co}\p{Zl}\p{Zp}\p{Zs}]$/u;
const MARK = /^\p{M}/u;
const RIGHT_TO_LEFT =
  /^[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;
/** @type {Record<string, string>} */
const SIGNS = { "\n": "↵", "\t": "⇥" };

/** @param {string} text A token as decoded. */
export function visibleToken(text) {
  const missed = new Set();
  for (const spaces of text.matchAll(/ {2,}| (?=\n?$)/g)) {
    for (let i = 0; i < spaces[0].length; i++) missed.add(spaces.index + i);
  }
  if (text.startsWith(" ") && RIGHT_TO_LEFT.test(text.replace(/^ +/, ""))) missed.add(0);
  /** @type {string[]} */
  const pieces = [];
  let place = 0;
  for (const character of text) {
    pieces.push(visiblePiece(character, missed.has(place)));
    place += character.length;
  }
  if (pieces.length && MARK.test(pieces[0])) pieces[0] = `◌${pieces[0]}`;
  return pieces.reduce((all, piece, i) => all + (i && isApart(pieces[i - 1], piece) ? " " : "") + piece, "");
}

/** @param {string} character @param {boolean} isMissed */
function visiblePiece(character, isMissed) {
  const sign = isMissed ? "␣" : (SIGNS[character] ?? character);
  if (sign === " " || !UNSEEN.test(sign)) return sign;
  const code = character.codePointAt(0) ?? 0;
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** @param {string} before @param {string} piece */
function isApart(before, piece) {
  const isNumber = (/** @type {string} */ text) => text.length > 4 && text.startsWith("U+");
  return (isNumber(before) || isNumber(piece)) && before !== " " && piece !== " ";
}
