/** Text that may hold half a character: pasted as it is, or cut in its middle. Addresses cannot hold one, and encoding it throws. */

/** `text` with the mark for "no character" in the place of each half. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\u{FFFD}");
}

/** At most `most` units of `text`, and no character cut in two. */
export function cutText(text: string, most: number): string {
  const cut = text.slice(0, most);
  const half = text.length > most && /[\uD800-\uDBFF]$/.test(cut);
  return wellFormed(half ? cut.slice(0, -1) : cut);
}

/** `text` as one segment of a path, or a value of a query. */
export const segment = (text: string | number): string => encodeURIComponent(wellFormed(String(text)));

/** A resource id as a path: its segments made safe for an address. */
export const idPath = (id: string): string => encodeURI(wellFormed(id)).replace(/[?#]/g, encodeURIComponent);
