/**
 * Byte-level byte-pair encoding, with the ids that the tokenizer of nano gives in Python.
 *
 * @typedef {object} Vocabulary
 * @property {string[]} tokens each token in the byte-level alphabet, by id
 * @property {[number, number, number][]} merges ids of two parts and of the whole, in order of priority
 * @property {Record<string, number>} special text and id of each special token
 * @property {boolean} [whole] whether a word that is a token is taken as it is, without merges
 */

// The pattern of `latentkit.training.tokenizer`, in JavaScript's words: a word takes the space before it along, a
// digit stands alone, marks keep together and take the line breaks that follow.
const SPACE = "\\p{White_Space}";
const PATTERN = new RegExp(
  "'(?:[sdmtSDMT\\u017f]|[lL][lL]|[vV][eE]|[rR][eE])(?![\\p{L}\\p{M}])| ?[\\p{L}\\p{M}]+|\\p{N}" +
    `| ?[^${SPACE}\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${SPACE}*[\\r\\n]+|${SPACE}+(?![^${SPACE}])|${SPACE}+`,
  "gu",
);
// what Python's str.strip removes
const STRIPPED = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const ENDS = new RegExp(`^${STRIPPED}|${STRIPPED}$`, "gu");

/** @typedef {{role: "system" | "user" | "assistant", content: string}} Message */

export class Tokenizer {
  /** @param {Vocabulary} vocabulary */
  constructor(vocabulary) {
    this.special = new Map(Object.entries(vocabulary.special));
    const alphabet = byteOf();
    /** @type {Uint8Array[]} bytes of each token */
    this.bytes = vocabulary.tokens.map((token) =>
      Uint8Array.from(token, (symbol) => alphabet.get(symbol) ?? 0),
    );
    this.byteIds = new Int32Array(256);
    this.bytes.forEach((bytes, id) => {
      if (bytes.length === 1) this.byteIds[bytes[0]] = id;
    });
    /** @type {Map<number, [number, number]>} two parts → rank and id of the whole */
    this.merges = new Map(
      vocabulary.merges.map(([left, right, whole], rank) => [left * 65536 + right, [rank, whole]]),
    );
    /** @type {Map<string, number>} ids of the tokens that a whole word is compared with, by their bytes */
    this.words = new Map(vocabulary.whole ? this.bytes.map((bytes, id) => [key(bytes), id]) : []);
    const texts = [...this.special.keys()].sort((a, b) => b.length - a.length).map(escaped);
    this.specialPattern = new RegExp(`(${texts.join("|")})`, "u");
  }

  /**
   * Plain text; special tokens that it spells out are taken as such, and the begin token comes first.
   * @param {string} text
   */
  encode(text) {
    const ids = this.encodeWithSpecial(text);
    const begin = this.idOf("<|begin_text|>");
    return ids[0] === begin ? ids : [begin, ...ids];
  }

  /**
   * Chat messages; a special token that a content spells out is taken as plain characters. A last message of
   * the assistant is left open, otherwise the header of a reply follows.
   * @param {Message[]} messages
   */
  encodeChat(messages) {
    const ids = [this.idOf("<|begin_text|>")];
    let open = false;
    messages.forEach((message, i) => {
      open = i === messages.length - 1 && message.role === "assistant";
      ids.push(...this.turn(message.role === "assistant" ? "Huginn" : message.role));
      const content = message.content.replace(ENDS, "");
      ids.push(...this.encodePlain(`\n\n${content}`));
      if (!open) ids.push(this.idOf("<|end_turn|>"));
    });
    if (!open) ids.push(...this.turn("Huginn"), ...this.encodePlain("\n\n"));
    return ids;
  }

  /** @param {string} role */
  turn(role) {
    return [this.idOf("<|begin_header|>"), ...this.encodePlain(role), this.idOf("<|end_header|>")];
  }

  /** @param {string} text */
  encodeWithSpecial(text) {
    return text
      .split(this.specialPattern)
      .flatMap((part) => (this.special.has(part) ? [this.idOf(part)] : this.encodePlain(part)));
  }

  /** @param {string} text */
  encodePlain(text) {
    const encoder = new TextEncoder();
    return (text.match(PATTERN) ?? []).flatMap((word) => {
      const bytes = encoder.encode(word);
      return this.words.get(key(bytes)) ?? this.merged(bytes);
    });
  }

  /**
   * Merge the pair of highest priority, the leftmost of equals, until none is left.
   * @param {Uint8Array} bytes
   */
  merged(bytes) {
    const ids = Array.from(bytes, (byte) => this.byteIds[byte]);
    for (;;) {
      let best = Infinity;
      let place = -1;
      let whole = 0;
      for (let i = 0; i + 1 < ids.length; i++) {
        const found = this.merges.get(ids[i] * 65536 + ids[i + 1]);
        if (found && found[0] < best) [best, whole, place] = [found[0], found[1], i];
      }
      if (place < 0) return ids;
      ids.splice(place, 2, whole);
    }
  }

  /** @param {string} text */
  idOf(text) {
    const id = this.special.get(text);
    if (id === undefined) throw new Error(`The tokenizer has no special token ${text}.`);
    return id;
  }

  /**
   * The text of one token, as a trace's `token_text` has it: half a character is `<0xE2>`.
   * @param {number} id
   */
  text(id) {
    for (const [text, known] of this.special) if (known === id) return text;
    return decoded(this.bytes[id]);
  }

  /** @param {ArrayLike<number>} ids */
  decode(ids) {
    const parts = Array.from(ids, (id) => this.bytes[id] ?? new TextEncoder().encode(this.text(id)));
    const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let place = 0;
    for (const part of parts) {
      all.set(part, place);
      place += part.length;
    }
    return new TextDecoder().decode(all);
  }
}

/** @param {Uint8Array} bytes */
function decoded(bytes) {
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let text = "";
  for (let i = 0; i < bytes.length; ) {
    const size = [1, 2, 3, 4].find((n) => i + n <= bytes.length && isText(strict, bytes.subarray(i, i + n)));
    text += size
      ? strict.decode(bytes.subarray(i, i + size))
      : `<0x${bytes[i].toString(16).toUpperCase().padStart(2, "0")}>`;
    i += size ?? 1;
  }
  return text;
}

/** @param {TextDecoder} strict @param {Uint8Array} bytes */
function isText(strict, bytes) {
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** @param {Uint8Array} bytes */
function key(bytes) {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

/** The byte-level alphabet of GPT-2: printable Latin-1 stands for itself, the rest follows from U+0100 on. */
function byteOf() {
  const plain = [...range(0x21, 0x7f), ...range(0xa1, 0xad), ...range(0xae, 0x100)];
  const rest = range(0, 0x100).filter((byte) => !plain.includes(byte));
  return new Map([
    ...plain.map((byte) => /** @type {[string, number]} */ ([String.fromCodePoint(byte), byte])),
    ...rest.map((byte, i) => /** @type {[string, number]} */ ([String.fromCodePoint(0x100 + i), byte])),
  ]);
}

/** @param {number} from @param {number} to */
function range(from, to) {
  return Array.from({ length: to - from }, (_, i) => from + i);
}
