/** Rules of what people write into twins, in the server's words (crates/model/src/twin.rs). */

const TAGS_BYTES = 8 * 1024;
const PROPERTIES_BYTES = 32 * 1024;
const DEPTH = 10;
const KEY_BYTES = 1024;
const STRING_BYTES = 4 * 1024;
const INTEGER = 4_503_599_627_370_496;
/** From here on JSON out of JavaScript has an exponent, and the number is a float. */
const LONGEST_DIGITS = 1e21;

type Json = Record<string, unknown>;

/** What the text of a field is: an object, or the sentence that refuses it. */
export type Read = { value: Json; fault?: undefined } | { fault: string; value?: undefined };

/** Reads the text of a twin's part `path`: `tags` or `properties.desired`.
 * @param nulls whether null, which takes a property away, may stand in it */
export function readPart(path: "tags" | "properties.desired", text: string, nulls = false): Read {
  let value: unknown;
  try {
    value = JSON.parse(text.trim() === "" ? "{}" : text);
  } catch (thrown) {
    return { fault: jsonFault(text, thrown) };
  }
  if (!isObject(value)) return { fault: `'${path}' is a JSON object.` };
  const fault = valueFault(path, value, 0, nulls) ?? sizeFault(path, value);
  return fault ? { fault } : { value };
}

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);
const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

/** What is wrong with a text that is no JSON, and in which line. */
export function jsonFault(text: string, thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const at = /position (\d+)/.exec(message)?.[1];
  const line = /line (\d+)/.exec(message)?.[1] ?? (at === undefined ? undefined : String(text.slice(0, Number(at)).split("\n").length));
  const short = message.replace(/,? ?(\.\.\.)?"[\s\S]*$/, "").replace(/ in JSON at position.*$/, "").slice(0, 120);
  return line ? `Line ${line} is no JSON: ${short}.` : `This is no JSON: ${short}.`;
}

function sizeFault(path: string, value: Json): string | undefined {
  const most = path === "tags" ? TAGS_BYTES : PROPERTIES_BYTES;
  const bytes = bytesOf(JSON.stringify(value));
  return bytes > most ? `'${path}' would have ${bytes} bytes of JSON; at most ${most} are allowed. Remove properties.` : undefined;
}

function valueFault(path: string, value: unknown, depth: number, nulls: boolean): string | undefined {
  if (value === null) {
    return nulls ? undefined : `The value at '${path}' is null, which removes a property in a patch only; leave the property out.`;
  }
  if (typeof value === "string" && bytesOf(value) > STRING_BYTES) return `The text at '${path}' has ${bytesOf(value)} bytes; at most ${STRING_BYTES} are allowed.`;
  if (typeof value === "number" && Number.isInteger(value) && Math.abs(value) < LONGEST_DIGITS && (value < -INTEGER || value >= INTEGER)) {
    return `The integer at '${path}' is outside -${INTEGER} to ${INTEGER - 1}.`;
  }
  if (typeof value !== "object") return undefined;
  if (depth >= DEPTH && Object.keys(value).length > 0) return `'${path}' is nested deeper than ${DEPTH} levels; flatten it.`;
  for (const [key, inner] of Object.entries(value)) {
    const list = Array.isArray(value);
    const at = list ? `${path}[${key}]` : `${path}.${key}`;
    if (list && inner === null) return `The item '${at}' is null; arrays hold values only.`;
    const fault = (list ? undefined : keyFault(path, key)) ?? valueFault(at, inner, depth + 1, nulls);
    if (fault) return fault;
  }
  return undefined;
}

function keyFault(path: string, key: string): string | undefined {
  const bytes = bytesOf(key);
  if (bytes < 1 || bytes > KEY_BYTES) return `A key in '${path}' has ${bytes} bytes; keys have 1 to ${KEY_BYTES}.`;
  if (/[.$# \u0000-\u001f\u007f-\u009f]/.test(key)) return `The key '${key.slice(0, 80)}' in '${path}' has a '.', '$', '#', space or control character; rename it.`;
  return undefined;
}

/** Without the members that the server keeps beside what people wrote. */
export function written(part: Record<string, unknown> | undefined): Json {
  return Object.fromEntries(Object.entries(part ?? {}).filter(([key]) => key !== "$metadata" && key !== "$version"));
}

/** The patch that makes `before` into `after`: null takes a member away. */
export function patchOf(before: Json, after: Json): Json {
  const patch: Json = {};
  for (const key of Object.keys(before)) if (!(key in after)) patch[key] = null;
  for (const [key, value] of Object.entries(after)) {
    const old = before[key];
    if (isObject(old) && isObject(value)) {
      const inner = patchOf(old, value);
      if (Object.keys(inner).length > 0) patch[key] = inner;
    } else if (JSON.stringify(old) !== JSON.stringify(value)) patch[key] = value;
  }
  return patch;
}

/** What `patch` makes of `document`: what it does not name stays as somebody else left it. */
export function patched(document: Json, patch: Json): Json {
  const after: Json = { ...document };
  for (const [key, value] of Object.entries(patch)) {
    const old = document[key];
    if (value === null) delete after[key];
    else after[key] = isObject(value) ? patched(isObject(old) ? old : {}, value) : value;
  }
  return after;
}

/** What somebody made of `before` into `mine`, made of `theirs`. */
export const rebased = (before: Json, mine: Json, theirs: Json): Json => patched(theirs, patchOf(before, mine));
