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

/** Would a browser take `text` for a step in a path? It takes `.` and `..` out of every address, also where they are written as `%2E`. */
export const isDots = (text: string): boolean => /^(?:\.|%2e){1,2}$/i.test(text);

/** Mark before a name that would not survive in an address. */
const MARK = "~";

/** A name as one segment of an address of the page; {@link nameIn} reads it. */
export const nameSegment = (name: string): string => segment(isDots(name.replace(/^~+/, "")) ? MARK + name : name);

/** The name that a segment of an address of the page was made from. */
export const nameIn = (text: string): string => (text.startsWith(MARK) && isDots(text.replace(/^~+/, "")) ? text.slice(1) : text);

/** A resource id as a path: its segments made safe for an address. */
export const idPath = (id: string): string => encodeURI(wellFormed(id)).replace(/[?#]/g, encodeURIComponent);
