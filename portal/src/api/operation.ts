/** Long operations of Resource Manager, as plain data: what is written down after the first answer can be polled by a page that was
 * loaded since. (reference: resource-manager.md section 7) */

import { asFault, Fault, faultOf, refusalIn } from "./fault";
import { ownPath, send, waitOf, type Method, type Reply } from "./http";

export interface Operation {
  /** `status`: the body of `url` says how far it is. `location`: its status code does. `resource`: the resource's own state does. */
  kind: "status" | "location" | "resource";
  url: string;
  /** What is read when it ended well. */
  final?: string | undefined;
}

export interface Progress {
  done: boolean;
  /** 0 to 100, where the server says. */
  percent?: number | undefined;
  /** State in the server's word. */
  state: string;
  /** What came of it. */
  body?: unknown;
  /** Parts of the operation, such as one for each hub. */
  parts?: Part[];
  /** Milliseconds until it is worth asking again. */
  wait: number;
  /** It could not be asked now; how far it is is what was told before. */
  away?: boolean;
}

/** One part of an operation's status. */
export interface Part {
  id: string;
  status: string;
  error?: { code: string; message: string } | undefined;
}

/** An operation that ended and failed, with what became of its parts: some may have ended well. Any other fault of a reading says nothing
 * about how the operation ends. */
export class OperationFault extends Fault {
  readonly parts: Part[];

  constructor(fault: Fault, parts: Part[]) {
    super(fault.plain());
    this.parts = parts;
  }
}

/** Milliseconds between two questions where the server names no time; Azure's clients take 30 s, a server next door is asked sooner. */
export const POLL_MS = 1000;
/** Longest time between two questions, so that the bell stays true. */
const POLL_MAX_MS = 30_000;
/** Times in a row that an answer of status 500 is taken for a passing one: it may be what the operation itself came to. */
const BROKEN_ANSWERS = 10;

/** The operation that an answer began; undefined where it is finished already.
 * @param byPart its status is asked, which lists what became of each part, also where the answer names its result only */
export function begun(method: Method, path: string, reply: Reply<unknown>, byPart = false): Operation | undefined {
  const status = reply.headers.get("azure-asyncoperation");
  const location = reply.headers.get("location");
  const put = method === "PUT" || method === "PATCH";
  if (status) {
    const final = put ? path : method === "POST" && location ? ownPath(location) : undefined;
    return { kind: "status", url: ownPath(status), final };
  }
  if (location && reply.status === 202 && byPart) {
    return { kind: "status", url: ownPath(location).replace("/operationResults/", "/operationStatuses/") };
  }
  if (location && reply.status === 202) return { kind: "location", url: ownPath(location) };
  if (put && !isTerminal(stateOf(reply.body))) return { kind: "resource", url: path };
  return undefined;
}

/** Milliseconds that `Retry-After` asks for. */
export function retryAfter(headers: Headers): number {
  return Math.min(waitOf(headers) ?? POLL_MS, POLL_MAX_MS);
}

/** Asks once.
 * @throws OperationFault where the operation ended and failed, Fault where it could not be read. */
export async function ask(operation: Operation, signal?: AbortSignal): Promise<Progress> {
  const reply = await send<unknown>({ method: "GET", path: operation.url, audience: "arm", signal });
  const wait = retryAfter(reply.headers);
  if (operation.kind === "location") {
    if (reply.status === 202) return { done: false, state: "Running", wait };
    const refusal = refusalIn(reply.body);
    if (refusal) throw new OperationFault(refusal, []);
    return { done: true, state: "Succeeded", body: reply.body, wait };
  }
  if (operation.kind === "resource") {
    const state = stateOf(reply.body);
    if (isFailed(state)) throw new OperationFault(failed(state ?? "Failed", reply.body), []);
    return { done: isTerminal(state), state: state ?? "Succeeded", body: reply.body, wait };
  }
  return askStatus(operation, reply, wait, signal);
}

async function askStatus(operation: Operation, reply: Reply<unknown>, wait: number, signal?: AbortSignal): Promise<Progress> {
  const body = (reply.body ?? {}) as Status;
  const state = body.status ?? "Succeeded";
  const parts = partsOf(body);
  if (isFailed(state)) throw new OperationFault(failed(state, body), parts);
  if (!isTerminal(state)) return { done: false, state, percent: body.percentComplete, parts, wait };
  const result = operation.final ? await readResult(operation.final, signal) : body.properties;
  const refusal = refusalIn(result);
  if (refusal) throw new OperationFault(refusal, parts);
  return { done: true, state, percent: 100, body: result, parts, wait };
}

/** What an operation that ended well made; nothing where it may not be read, or is gone again: it ended well all the same. */
async function readResult(path: string, signal?: AbortSignal): Promise<unknown> {
  try {
    return (await send<unknown>({ method: "GET", path, audience: "arm", signal })).body;
  } catch (thrown) {
    const { status } = asFault(thrown);
    if (status === 403 || status === 404) return undefined;
    throw thrown;
  }
}

interface Status {
  status?: string;
  percentComplete?: number;
  properties?: unknown;
  error?: { code?: string; message?: string };
  operations?: { id?: string; resourceId?: string; status?: string; error?: { code?: string; message?: string } }[];
}

/** The parts that a status lists. */
export function partsOf(body: unknown): Part[] {
  const list = (body as Status | undefined)?.operations;
  if (!Array.isArray(list)) return [];
  return list.map((part) => ({
    id: part.resourceId ?? part.id ?? "",
    status: part.status ?? "",
    error: part.error && { code: part.error.code ?? "", message: part.error.message ?? "" },
  }));
}

/** A reading that failed for now, and says nothing about what was read: no answer came, or the server has too much to do or is starting. */
function passes(fault: Fault): boolean {
  if (fault instanceof OperationFault) return false;
  return fault.code === "Unreachable" || fault.status === 408 || fault.status === 429 || fault.status >= 500;
}

/** Follows `operation` to its end. A server that cannot be reached is waited for: the operation goes on, or is over, without this page.
 * @param pause waits that many milliseconds; given, so that a test moves the clock. */
export async function follow(
  operation: Operation,
  pause: (ms: number) => Promise<void>,
  told: (progress: Progress) => void = () => {},
  signal?: AbortSignal,
): Promise<Progress> {
  for (let missed = 0, broken = 0; ; ) {
    let progress: Progress;
    try {
      progress = await ask(operation, signal);
      missed = broken = 0;
    } catch (thrown) {
      const fault = asFault(thrown);
      broken = fault.status === 500 ? broken + 1 : 0;
      if (!passes(fault) || broken > BROKEN_ANSWERS) throw fault;
      missed += 1;
      progress = { done: false, away: true, state: "Unreachable", wait: Math.min(Math.max(fault.wait ?? 0, POLL_MS * 2 ** Math.min(missed, 5)), POLL_MAX_MS) };
    }
    told(progress);
    if (progress.done) return progress;
    await pause(progress.wait);
    if (signal?.aborted) throw new Fault({ status: 0, code: "Aborted", message: "Nobody waits for it any more." });
  }
}

function stateOf(body: unknown): string | undefined {
  const properties = (body as { properties?: { provisioningState?: unknown } } | undefined)?.properties;
  return typeof properties?.provisioningState === "string" ? properties.provisioningState : undefined;
}

function isTerminal(state: string | undefined): boolean {
  return state === undefined || /^(succeeded|failed|canceled)$/i.test(state);
}

function isFailed(state: string | undefined): boolean {
  return /^(failed|canceled)$/i.test(state ?? "");
}

/** What a failed status says; its parts stay readable in `details`. */
function failed(state: string, body: unknown): Fault {
  const fault = faultOf(409, body);
  const parts = partsOf(body).filter((part) => part.error);
  if (fault.code !== "Http409" && parts.length === 0) return fault;
  const details = parts.map((part) => ({ code: part.error?.code ?? "", message: part.error?.message ?? "", target: part.id }));
  const known = fault.code !== "Http409";
  return new Fault({
    ...fault.plain(),
    code: known ? fault.code : state,
    message: known ? fault.message : `The operation ended as '${state}'.`,
    details: details.length > 0 ? details : fault.details,
  });
}
