// Texts cut to a width, since SVG does not do it.

const measured = new Map<string, string>();
let pen: CanvasRenderingContext2D | null = null;
let family = "";
const WIDEST = 11; // pixels of the widest letters: texts that fit even so are not measured

/** As much of a text as a width in pixels holds. */
export function fitting(text: string, font: string, room: number): string {
  if (text.length * WIDEST < room) return text;
  const key = `${room} ${font} ${text}`;
  let found = measured.get(key);
  if (found !== undefined) return found;
  pen ??= document.createElement("canvas").getContext("2d");
  family ||= getComputedStyle(document.body).fontFamily;
  found = text;
  if (pen) {
    pen.font = `${font} ${family}`;
    let end = text.length;
    while (end > 1 && pen.measureText(end < text.length ? `${text.slice(0, end)}…` : text).width > room) end--;
    if (end < text.length) found = `${text.slice(0, end)}…`;
  }
  if (measured.size > 5000) measured.clear();
  measured.set(key, found);
  return found;
}
