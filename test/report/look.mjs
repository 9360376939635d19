// What is looked at in a report: a function that runs in the page and gives back what is wrong, in words. It is handed over as
// text, so it can use nothing from outside of itself.

/** @returns {{ pictures: number, marks: number, tables: number, problems: string[] }} */
export function look() {
  const problems = [];
  const slack = 1;
  const boxOf = (element) => element.getBoundingClientRect();
  const within = (inner, outer, by = slack) =>
    inner.left >= outer.left - by &&
    inner.right <= outer.right + by &&
    inner.top >= outer.top - by &&
    inner.bottom <= outer.bottom + by;
  const shown = (text) => JSON.stringify(text.trim().slice(0, 60));
  const channels = (colour) => (colour.match(/[\d.]+/g) ?? []).slice(0, 3).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).map((each) => {
      const share = each / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = getComputedStyle(document.body ?? document.documentElement).backgroundColor;
  const contrast = (colour) => {
    const [low, high] = [luminance(colour), luminance(paper)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };

  const page = document.scrollingElement;
  if (page.scrollWidth > innerWidth) problems.push(`the page is ${page.scrollWidth} wide`);

  let marks = 0;
  const pictures = [...document.querySelectorAll("svg")];
  for (const picture of pictures) {
    const name = picture.getAttribute("aria-label");
    if (!within(boxOf(picture), boxOf(page))) problems.push(`${name}: wider than the page`);
    for (const text of picture.querySelectorAll("text")) {
      if (!within(boxOf(text), boxOf(picture))) problems.push(`${name}: ${shown(text.textContent)} sticks out`);
      if (text.textContent.endsWith("…")) problems.push(`${name}: ${shown(text.textContent)} is cut off`);
      // Figures upon cells have their cells behind them.
      if (text.closest(".mark-text.role-mark")) continue;
      const { fill } = getComputedStyle(text);
      if (contrast(fill) < 4.5)
        problems.push(`${name}: ${shown(text.textContent)} is hard to read (${fill} on ${paper})`);
    }
    // A frame has what is drawn in it beside it: the background's path, then the marks.
    const drawn = [...picture.querySelectorAll(".role-mark > path, .role-mark > line, .role-mark > text")];
    if (drawn.length === 0) problems.push(`${name}: nothing is drawn`);
    for (const mark of drawn) {
      let group = mark.parentElement;
      while (group && !group.querySelector(":scope > path.background")) group = group.parentElement;
      const box = boxOf(mark);
      // Half a symbol may lie beyond the frame that its middle lies on.
      if (!within(box, boxOf(group.querySelector(":scope > path.background")), 8)) {
        problems.push(`${name}: a mark at ${box.left.toFixed()}, ${box.top.toFixed()} lies outside of its frame`);
      }
      if (/NaN|undefined|Infinity/.test(mark.outerHTML)) problems.push(`${name}: a mark is nowhere: ${mark.outerHTML}`);
      const { fill, stroke } = getComputedStyle(mark);
      const colour = [stroke, fill].find((each) => each !== "none" && each.startsWith("rgb"));
      const cell = mark.closest(".mark-rect, .mark-text");
      if (!cell && colour && contrast(colour) < 2.8)
        problems.push(`${name}: a mark is hard to see (${colour} on ${paper})`);
      marks++;
    }
  }

  const tables = [...document.querySelectorAll(".row table")];
  for (const table of tables) {
    const name = table.closest(".row").id;
    const columns = table.querySelectorAll("thead th").length;
    for (const row of table.querySelectorAll("tbody tr")) {
      const width = [...row.cells].reduce((sum, cell) => sum + cell.colSpan, 0);
      if (width !== columns) problems.push(`${name}: ${shown(row.textContent)} has ${width} of ${columns} columns`);
    }
    if (boxOf(table).right > boxOf(table.parentElement).right + slack) problems.push(`${name}: wider than its place`);
  }
  for (const text of document.querySelectorAll("p, td, th, li, h1, h2, h3, figcaption, summary")) {
    if (text.scrollWidth > text.clientWidth + slack && getComputedStyle(text).display !== "inline") {
      problems.push(`${shown(text.textContent)} is wider than its place`);
    }
    const { color } = getComputedStyle(text);
    if (contrast(color) < 4.5) problems.push(`${shown(text.textContent)} is hard to read (${color} on ${paper})`);
    if (/\b(undefined|NaN|null)\b|\[object/.test(text.textContent))
      problems.push(`${shown(text.textContent)} says nothing`);
  }
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  const twice = ids.filter((id, i) => ids.indexOf(id) !== i);
  if (twice.length > 0) problems.push(`ids that are there twice: ${twice}`);
  return { pictures: pictures.length, marks, tables: tables.length, problems };
}
