// Elements of the page. Texts of tokens only ever become text nodes, never markup.

/**
 * @typedef {string | boolean | null | ((event: any) => void)} Attribute
 */

/**
 * Make an element. Attributes named "onclick" and the like are listeners; false and null
 * leave an attribute out.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, Attribute>} [attributes]
 * @param {...(Node | string)} children Texts become text nodes.
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/**
 * Keep as many children as wanted, and let `show` fill each of them.
 * @param {HTMLElement} parent
 * @param {number} count
 * @param {() => HTMLElement} create
 * @param {(child: HTMLElement, index: number) => void} show
 */
export function fill(parent, count, create, show) {
  while (parent.childElementCount < count) parent.append(create());
  while (parent.childElementCount > count) parent.lastElementChild?.remove();
  const children = /** @type {HTMLElement[]} */ ([...parent.children]);
  for (const [index, child] of children.entries()) show(child, index);
}

/**
 * Set the text of an element if it changed, so that screen readers are not disturbed.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Let the user save a file. @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
