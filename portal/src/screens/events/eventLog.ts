/** Reading a hub's event log: where it ends, what comes after, and what a body says. */

import { armPath } from "../../api/arm";
import type { Fault } from "../../api/fault";
import { send } from "../../api/http";
import type { HubEvent } from "../../api/hubData";
import { cutText } from "../../wellFormed";

/** Events of a partition from a sequence number on, at most so many. */
export type ReadFrom = (sequence: number, most: number) => Promise<HubEvent[]>;

export function reader(hub: string, partition: string, signal?: AbortSignal): ReadFrom {
  return async (sequence, most) => {
    const body = { partition: Number(partition), fromSequence: sequence, maxEvents: most };
    return (await send<{ events: HubEvent[] }>({ method: "POST", path: armPath(`${hub}/readEvents`), audience: "arm", body, signal })).body.events;
  };
}

/** The sequence number behind the last event: found by halving, since the log cannot be asked for its end. */
export async function endOf(read: ReadFrom): Promise<number> {
  const first = (await read(0, 1))[0];
  if (!first) return 0;
  let there = first.sequenceNumber;
  let step = 1;
  while ((await read(there + step, 1)).length > 0) {
    there += step;
    step *= 2;
  }
  let none = there + step;
  while (none - there > 1) {
    const middle = Math.floor((there + none) / 2);
    const found = (await read(middle, 1))[0];
    if (found) there = found.sequenceNumber;
    else none = middle;
  }
  return there + 1;
}

/** An event as the page keeps it: with the beginning of its body, decoded once. */
export interface KeptEvent extends HubEvent {
  piece: string;
}

/** Characters of base64 that are decoded for the list, and longest piece that is shown. */
const PIECE_BASE64 = 220;
const PIECE = 160;

export function keptOf(event: HubEvent): KeptEvent {
  // The last character may be cut: what is not whole is left out.
  const text = new TextDecoder().decode(bytesOf(event.body.slice(0, PIECE_BASE64)), { stream: true });
  return { ...event, piece: cutText(text, PIECE) };
}

/** Bytes that an event takes in the page, roughly: its body and its properties. */
function sizeOf(event: HubEvent): number {
  const properties = [event.systemProperties, event.applicationProperties].flatMap((each) => Object.entries(each));
  return event.body.length + properties.reduce((sum, [name, value]) => sum + 2 * (name.length + String(value).length), 200);
}

/** The newest of both, newest first: at most so many, and so many bytes of them. */
export function newest<E extends HubEvent>(before: E[], more: E[], most: number, mostBytes: number): E[] {
  const all = [...more, ...before]
    .sort((a, b) => (a.enqueuedTimeUtc < b.enqueuedTimeUtc ? 1 : a.enqueuedTimeUtc > b.enqueuedTimeUtc ? -1 : b.sequenceNumber - a.sequenceNumber))
    .slice(0, most);
  let bytes = 0;
  // One is shown, however large it is.
  return all.filter((event, at) => (bytes += sizeOf(event)) <= mostBytes || at === 0);
}

/** Does a reading that failed so wait for somebody? What the server refuses it will refuse again. */
export function refused(fault: Fault): boolean {
  return fault.status >= 400 && fault.status < 500 && fault.status !== 408 && fault.status !== 429;
}

export function deviceOf(event: HubEvent): string {
  return event.systemProperties["iothub-connection-device-id"] ?? "";
}

export type Form = "text" | "json" | "hex";

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}

/** A body as text, as indented JSON where it is JSON, or in hexadecimal. */
export function bodyText(base64: string, form: Form): string {
  const bytes = bytesOf(base64);
  if (form === "hex") return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const text = new TextDecoder().decode(bytes);
  if (form === "text") return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
