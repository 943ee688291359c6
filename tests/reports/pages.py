"""Questions to a page in a browser; each answers with what is wrong, by element."""

from __future__ import annotations

# Whatever is wider than the page, or text of a chart outside of it.
OVERFLOWING = """(() => {
  const wide = document.documentElement.clientWidth, found = [];
  if (document.documentElement.scrollWidth > wide) found.push(`the page: ${document.documentElement.scrollWidth}`);
  for (const each of document.querySelectorAll("body *")) {
    const box = each.getBoundingClientRect();
    if (each.closest("thead") && getComputedStyle(each.closest("thead")).position === "absolute") continue;
    if (each.closest("defs") || box.width === 0) continue;
    const name = `${each.tagName}.${each.getAttribute("class")}: ${each.textContent.slice(0, 40)}`;
    if (box.right > wide + 0.5 || box.left < -0.5) found.push(`${box.left} to ${box.right} ${name}`);
  }
  return found;
})()"""

# Luminance and ratio are those of WCAG 2.
_COLORS = """
  const luminance = color => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number).slice(0, 3).map(part => {
      part /= 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, two) => {
    const [low, high] = [luminance(one), luminance(two)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const groundOf = element => {
    for (let each = element; each; each = each.parentElement) {
      const color = getComputedStyle(each).backgroundColor;
      if (!/^rgba\\(.*, 0\\)$/.test(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
"""

# Text below the contrast of WCAG 2, level AA, and how many texts were looked at.
FAINT_TEXTS = f"""(() => {{
  {_COLORS}
  const found = [];
  let number = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {{
    const element = node.parentElement, style = getComputedStyle(element);
    if (!node.data.trim() || element.closest("title, desc, style")) continue;
    number += 1;
    const color = element.closest("svg") ? style.fill : style.color;
    const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
    const least = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    const has = ratio(color, groundOf(element));
    const name = `${{color}} on ${{groundOf(element)}}: ${{node.data.slice(0, 40)}}`;
    if (has < least) found.push(`${{has.toFixed(2)}} ${{name}}`);
  }}
  return [number, found];
}})()"""

# Bars, columns and lines below 3 to 1.
FAINT_SHAPES = f"""(() => {{
  {_COLORS}
  const found = [];
  let number = 0;
  const ground = getComputedStyle(document.body).backgroundColor;
  for (const each of document.querySelectorAll("svg :is(.forecast, .plan-line, .hatch-line, .now)")) {{
    const style = getComputedStyle(each);
    const color = each.matches(".forecast") ? style.fill : style.stroke;
    number += 1;
    if (ratio(color, ground) < 3) found.push(`${{each.getAttribute("class")}} ${{color}}`);
  }}
  return [number, found];
}})()"""

# What a screen reader lacks.
UNNAMED = """(() => {
  const found = [];
  const levels = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map(each => Number(each.tagName[1]));
  levels.forEach((level, place) => {
    const follows = place === 0 ? level === 1 : level > 1 && level <= levels[place - 1] + 1;
    if (!follows) found.push(`h${level} at ${place}`);
  });
  for (const each of document.querySelectorAll("svg:not([aria-hidden])")) {
    if (each.getAttribute("role") !== "img") found.push("an svg without role=img");
    if (each.firstElementChild?.tagName !== "title" || !each.querySelector(":scope > desc")?.textContent)
      found.push("an svg without title or desc");
    for (const id of each.getAttribute("aria-labelledby").split(" "))
      if (!document.getElementById(id)?.textContent) found.push(`nothing has the id ${id}`);
  }
  for (const each of document.querySelectorAll("img:not([alt]), a:empty, button:empty")) found.push(each.tagName);
  for (const each of document.querySelectorAll("table")) {
    if (!each.caption?.textContent) found.push("a table without a caption");
    if (each.querySelector("th:not([scope])")) found.push("a heading cell without scope");
    if (each.querySelector("tr:not([role]), td:not([role]), th:not([role])")) found.push("a cell without a role");
  }
  for (const each of document.querySelectorAll("section"))
    if (!document.getElementById(each.getAttribute("aria-labelledby"))) found.push(`${each.id} has no name`);
  const ids = [...document.querySelectorAll("[id]")].map(each => each.id);
  if (new Set(ids).size !== ids.length) found.push("an id twice");
  if (!document.documentElement.lang || !document.title) found.push("no language or title");
  return found;
})()"""

# Rows and charts that a page of paper may cut in two.
CUT_ON_PAPER = """(() => {
  const found = [];
  for (const each of document.querySelectorAll("table, tr, figure, .figures > div"))
    if (getComputedStyle(each).breakInside !== "avoid") found.push(each.tagName);
  for (const each of document.querySelectorAll("thead"))
    if (getComputedStyle(each).display !== "table-header-group") found.push("thead");
  return found;
})()"""

# Elements that run or load, or that a text has become.
RUNNING = """(() => {
  const names = "script, iframe, object, embed, img, link, base, form, a, input";
  const found = [...document.querySelectorAll(names)].map(each => each.outerHTML);
  for (const each of document.querySelectorAll("*"))
    for (const one of each.attributes)
      if (/^on|^style$/i.test(one.name) || /javascript:/i.test(one.value)) found.push(one.name);
  return found;
})()"""
