/** One type for every way in which a call fails, whatever plane answered. */

export interface FaultDetail {
  code: string;
  message: string;
  target?: string | undefined;
}

export interface FaultParts {
  /** HTTP status; 0 where no answer came. */
  status: number;
  code: string;
  message: string;
  target?: string | undefined;
  requestId?: string | undefined;
  details?: FaultDetail[];
  /** Milliseconds after which the server wants to be asked again, where it said. */
  wait?: number | undefined;
}

/** A failed call. `Error`, so that it can be thrown; plain members, so that it can be kept and shown. */
export class Fault extends Error {
  readonly status: number;
  readonly code: string;
  readonly target: string | undefined;
  readonly requestId: string | undefined;
  readonly details: FaultDetail[];
  /** The right that is missing, where the server named one. */
  readonly denied: Denied | undefined;
  readonly wait: number | undefined;

  constructor(parts: FaultParts) {
    super(parts.message);
    this.name = "Fault";
    this.status = parts.status;
    this.code = parts.code;
    this.target = parts.target;
    this.requestId = parts.requestId;
    this.details = parts.details ?? [];
    this.wait = parts.wait;
    // An operation that was refused later says so by its code only.
    const refused = parts.status === 403 || /AuthorizationFailed$/.test(parts.code);
    this.denied = refused ? deniedBy(parts.message) : undefined;
  }

  /** As plain data, which can be kept. */
  plain(): FaultParts {
    const { status, code, message, target, requestId, details, wait } = this;
    return { status, code, message, target, requestId, details, wait };
  }
}

/** An action that a principal may not do, and where. */
export interface Denied {
  action: string;
  scope: string;
  /** Object id of the principal. */
  principal?: string | undefined;
  /** A command that the server printed itself. */
  command?: string | undefined;
}

/** What Azure's sentence of a refusal says ("The client '..' with object id '..' does not have authorization to perform action ..."). */
export function deniedBy(message: string): Denied | undefined {
  const action = /(?:perform action|data action|action) '([^']+)'/.exec(message)?.[1];
  const scope = /(?:over scope|on scope|scope|on) '(\/[^']*)'/.exec(message)?.[1];
  if (!action || !scope) return undefined;
  return {
    action,
    scope,
    principal: /object id '([^']+)'/.exec(message)?.[1],
    command: /(az role assignment create [^\n`]+)/.exec(message)?.[1]?.replace(/[.`]+$/, ""),
  };
}

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);
const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

/** The fault that an answer is: Resource Manager's and Graph's shape, a hub's, the provisioning service's, or the token service's. */
export function faultOf(status: number, body: unknown, requestId?: string, wait?: number): Fault {
  const found = isObject(body) ? (managed(body) ?? hub(body) ?? entries(body) ?? provisioning(body) ?? token(body)) : undefined;
  return new Fault({
    status,
    code: found?.code ?? `Http${status}`,
    message: found?.message ?? `The server answered with status ${status} and no explanation.`,
    target: found?.target,
    requestId: requestId ?? found?.requestId,
    details: found?.details ?? [],
    wait,
  });
}

/** What an answer refuses although its status says that it went well: `{"result": "Failed", "error": ...}`. */
export function refusalIn(body: unknown): Fault | undefined {
  if (!isObject(body) || !/^failed$/i.test(text(body["result"]) ?? "")) return undefined;
  return faultOf(409, isObject(body["error"]) ? body : { error: { code: "Failed", message: "The server answered that it failed, and not why." } });
}

type Found = Omit<FaultParts, "status">;

function managed(body: Json): Found | undefined {
  const error = body["error"];
  if (!isObject(error)) return undefined;
  const details = Array.isArray(error["details"]) ? error["details"].filter(isObject) : [];
  return {
    code: text(error["code"]) ?? "Unknown",
    message: text(error["message"]) ?? "The server gave no message.",
    target: text(error["target"]),
    details: details.map((detail) => ({
      code: text(detail["code"]) ?? "",
      message: text(detail["message"]) ?? "",
      target: text(detail["target"]),
    })),
  };
}

function hub(body: Json): Found | undefined {
  const message = text(body["Message"]);
  if (!message) return undefined;
  // "ErrorCode:DeviceNotFound;The device is not there."
  const parts = /^ErrorCode:(\w+);?([\s\S]*)$/.exec(message);
  const tracking = text(body["ExceptionMessage"]);
  return {
    code: parts?.[1] ?? "Unknown",
    message: (parts?.[2] || message).trim(),
    requestId: /Tracking ID:\s*([^-\s,]+)/i.exec(tracking ?? "")?.[1],
  };
}

/** A request about many devices of which some failed: `errors` with one entry for each. */
function entries(body: Json): Found | undefined {
  const errors = Array.isArray(body["errors"]) ? body["errors"].filter(isObject) : [];
  const first = errors[0];
  if (!first) return undefined;
  const details = errors.map((each) => ({ code: String(each["errorCode"] ?? ""), message: text(each["errorStatus"]) ?? "", target: text(each["deviceId"]) ?? text(each["id"]) }));
  return { code: details[0]?.code || "Unknown", message: details[0]?.message || "The server gave no message.", details: details.length > 1 ? details : [] };
}

function provisioning(body: Json): Found | undefined {
  const code = body["errorCode"];
  if (code === undefined) return undefined;
  const message = text(body["message"]) ?? "The provisioning service gave no message.";
  return {
    code: String(code),
    message,
    target: memberIn(message),
    requestId: text(body["trackingId"]),
  };
}

const MEMBERS =
  /\b(?:attestation|initialTwin|iotHubs|iotHubHostName|allocationPolicy|customAllocationDefinition|credentialPolicyName|deviceId|registrationId|enrollmentGroupId|capabilities|provisioningStatus|reprovisionPolicy|primaryKey|secondaryKey|tags|properties\.desired)(?:\.\w+)*/;

/** The member of an enrollment that a refusal names: this shape has no other place for it. */
export function memberIn(message: string): string | undefined {
  return MEMBERS.exec(message)?.[0];
}

function token(body: Json): Found | undefined {
  const code = text(body["error"]);
  if (!code) return undefined;
  return { code, message: text(body["error_description"]) ?? code, requestId: text(body["trace_id"]) };
}

/** A call that got no answer. */
export function unreachable(): Fault {
  return new Fault({ status: 0, code: "Unreachable", message: "The server did not answer. It may be stopped, or the network is gone." });
}

/** Any thrown thing as a fault. */
export function asFault(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  return new Fault({ status: 0, code: "Unexpected", message: thrown instanceof Error ? thrown.message : String(thrown) });
}
