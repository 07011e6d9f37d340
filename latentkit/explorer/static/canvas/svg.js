// A drawing context that writes SVG: the part of a canvas's interface that the pictures use.

const NAMESPACE = "http://www.w3.org/2000/svg";
/** @type {Record<string, string>} */
const ANCHORS = { left: "start", center: "middle", right: "end" };

/** @param {number} value */
function short(value) {
  return Number(value.toFixed(2));
}

/** @param {Element} element @param {Record<string, string | number>} attributes */
function setAll(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, String(typeof value === "number" ? short(value) : value));
  }
}

/** Texts are drawn around their middle; `restore` restores positions and clips, but no colours and fonts. */
export class SvgContext {
  imageSmoothingEnabled = false;

  /**
   * @param {number} width
   * @param {number} height
   * @param {string} back Colour that `clearRect` leaves.
   * @param {CanvasRenderingContext2D} ruler Measures texts.
   */
  constructor(width, height, back, ruler) {
    this.back = back;
    this.ruler = ruler;
    this.fillStyle = this.strokeStyle = back;
    this.font = this.textAlign = this.textBaseline = this.lineJoin = this.path = "";
    this.lineWidth = this.clips = 0;
    this.root = document.createElementNS(NAMESPACE, "svg");
    /** @type {SVGElement} */
    this.group = this.root;
    /** @type {SVGElement[]} */
    this.saved = [];
    setAll(this.root, { width, height, viewBox: `0 0 ${width} ${height}`, "xml:space": "preserve" });
  }

  toString() {
    return new XMLSerializer().serializeToString(this.root);
  }

  /** @param {string} tag @param {Record<string, string | number>} attributes */
  add(tag, attributes) {
    const element = document.createElementNS(NAMESPACE, tag);
    setAll(element, attributes);
    return /** @type {SVGElement} */ (this.group.appendChild(element));
  }

  save() {
    this.saved.push(this.group);
  }

  restore() {
    this.group = this.saved.pop() ?? this.root;
  }

  /** @param {number} x @param {number} y */
  translate(x, y) {
    this.group = this.add("g", { transform: `translate(${x} ${y})` });
  }

  /** @param {number} angle */
  rotate(angle) {
    this.group = this.add("g", { transform: `rotate(${(angle * 180) / Math.PI})` });
  }

  clip() {
    this.clips += 1;
    const id = `clip${this.clips}`;
    this.add("clipPath", { id }).append(this.add("path", { d: this.path }));
    this.group = this.add("g", { "clip-path": `url(#${id})` });
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  clearRect(x, y, width, height) {
    this.add("rect", { x, y, width, height, fill: this.back });
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  fillRect(x, y, width, height) {
    this.add("rect", { x, y, width, height, fill: this.fillStyle });
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  strokeRect(x, y, width, height) {
    this.beginPath();
    this.rect(x, y, width, height);
    this.stroke();
  }

  /** @param {string} text @param {number} x @param {number} y */
  fillText(text, x, y) {
    const [before, family] = this.font.split("px ");
    const parts = before.split(" ");
    const [size, weight] = [parts.pop() ?? "", parts.pop() ?? "400"];
    const font = { "font-family": family, "font-size": size, "font-weight": weight };
    const place = { x, y, dy: "0.35em", "text-anchor": ANCHORS[this.textAlign] };
    this.add("text", { ...place, ...font, fill: this.fillStyle }).textContent = text;
  }

  /** @param {string} text */
  measureText(text) {
    this.ruler.font = this.font;
    return this.ruler.measureText(text);
  }

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {number} x @param {number} y @param {number} width @param {number} height
   */
  drawImage(canvas, x, y, width, height) {
    const look = { preserveAspectRatio: "none", style: "image-rendering:pixelated" };
    this.add("image", { x, y, width, height, href: canvas.toDataURL(), ...look });
  }

  beginPath() {
    this.path = "";
  }

  /** @param {string} letter @param {number} x @param {number} y */
  go(letter, x, y) {
    this.path += letter + [short(x), short(y)];
  }

  /** @param {number} x @param {number} y */
  moveTo(x, y) {
    this.go("M", x, y);
  }

  /** @param {number} x @param {number} y */
  lineTo(x, y) {
    this.go("L", x, y);
  }

  closePath() {
    this.path += "Z";
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  rect(x, y, width, height) {
    this.go("M", x, y);
    this.go("l", width, 0);
    this.go("l", 0, height);
    this.go("l", -width, 0);
    this.closePath();
  }

  /** Add a whole circle. @param {number} x @param {number} y @param {number} radius */
  arc(x, y, radius) {
    this.go("M", x - radius, y);
    for (const side of [2, -2]) this.path += `a${radius} ${radius} 0 1 0 ${side * radius} 0`;
  }

  fill() {
    this.add("path", { d: this.path, fill: this.fillStyle });
  }

  stroke() {
    const { path: d, strokeStyle: stroke } = this;
    this.add("path", { d, fill: "none", stroke, "stroke-width": this.lineWidth });
  }
}
