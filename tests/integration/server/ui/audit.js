// What keeps a page from being for everybody: nameless controls, headings, labels, and contrast below WCAG AA.
() => {
  const found = [];
  const say = (what, element) => found.push(what + ": " + element.outerHTML.slice(0, 140));
  const shown = (element) => element.getClientRects().length > 0 && getComputedStyle(element).visibility !== "hidden";
  const named = (element) => element.getAttribute("aria-label") || element.textContent.trim()
    || element.labels?.[0]?.textContent.trim() || element.title || element.getAttribute("placeholder");
  if (!document.documentElement.lang) found.push("the page has no language");
  if (document.querySelectorAll("main").length !== 1) found.push("not one main part");
  const headings = [...document.querySelectorAll("h1")].filter(shown);
  if (headings.length !== 1) found.push(headings.length + " first headings");
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  if (new Set(ids).size !== ids.length) found.push("an id occurs twice");
  for (const element of document.querySelectorAll("a[href], button, input, select, [role=button], [role=img], [tabindex='0']")) {
    if (shown(element) && !named(element)) say("without a name", element);
  }
  for (const element of document.querySelectorAll("[role=button]")) if (element.tabIndex < 0) say("out of the keyboard's reach", element);
  for (const element of document.querySelectorAll("input, select")) {
    if (shown(element) && !element.labels?.length && !element.getAttribute("aria-label")) say("without a label", element);
  }
  for (const element of document.querySelectorAll("th")) if (!element.scope) say("a heading of what?", element);
  for (const element of document.querySelectorAll("nav")) if (!element.getAttribute("aria-label")) say("a nameless nav", element);
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0.99) return colour;
    }
    return [255, 255, 255, 1];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, index) => sum + v * [0.2126, 0.7152, 0.0722][index], 0);
  const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || seen.has(element) || !shown(element) || element.closest("title, option, .hidden, .skip, svg, :disabled")) continue;
    seen.add(element);
    const style = getComputedStyle(element);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const ratio = contrast(rgba(style.color), behind(element));
    if (ratio < (large ? 3 : 4.5)) say("contrast " + ratio.toFixed(2), element);
  }
  for (const text of document.querySelectorAll("svg text")) {
    const bar = text.classList.contains("bar-text") && !text.classList.contains("on-plan") ? text.parentElement.querySelector(".bar") : null;
    const back = bar ? rgba(getComputedStyle(bar).fill) : behind(text.closest("svg").parentElement);
    const ratio = contrast(rgba(getComputedStyle(text).fill), back);
    if (ratio < 4.5) say("contrast in a chart " + ratio.toFixed(2), text);
  }
  return found;
}
