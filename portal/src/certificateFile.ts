/** Certificates that somebody chooses in the page: read here, so that nothing is sent that must not be, and what is in one is shown
 * before it is used. Only what is shown is looked at; whether it is good is the server's to say. */

export interface CertificateFile {
  /** Base64 of the DER, as the server takes it. */
  base64: string;
  subject: string;
  issuer: string;
  notBefore: Date;
  notAfter: Date;
  /** Basic constraints say CA. */
  isCa: boolean;
  /** Hexadecimal, upper case. */
  serial: string;
}

/** Largest file that is taken, bytes (reference: portal.md 1.12). */
export const CERTIFICATE_FILE_BYTES = 8 * 1024;

export const PRIVATE_KEY_TEXT = "This file contains a private key; it was not sent.";

/** Reads the one certificate in `bytes`: PEM, base64 or DER.
 * @throws Error with a sentence for people. */
export function readCertificate(bytes: Uint8Array): CertificateFile {
  const text = latin(bytes);
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text)) throw new Error(PRIVATE_KEY_TEXT);
  if (bytes.length > CERTIFICATE_FILE_BYTES) throw new Error(`The file has ${bytes.length} bytes; at most ${CERTIFICATE_FILE_BYTES} are accepted.`);
  return parse(derOf(bytes, text));
}

/** A certificate's base64 as PEM (RFC 7468). */
export function pem(base64: string): string {
  const lines = base64.replace(/\s+/g, "").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

function latin(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function derOf(bytes: Uint8Array, text: string): Uint8Array {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length > 1) throw new Error(`The file has ${blocks.length} certificates; give a file with one.`);
  const inner = blocks[0]?.replace(/-----(BEGIN|END) CERTIFICATE-----/g, "") ?? text;
  if (blocks.length === 1 || /^[A-Za-z0-9+/=\s]+$/.test(text)) {
    try {
      return Uint8Array.from(atob(inner.replace(/\s+/g, "")), (char) => char.charCodeAt(0));
    } catch {
      throw new Error("The certificate is neither PEM nor base64 of DER.");
    }
  }
  return bytes;
}

/** A piece of DER. */
interface Node {
  tag: number;
  /** Where its content begins and ends. */
  from: number;
  to: number;
}

const BAD = "The file is no certificate (.pem or .cer with one X.509 certificate).";

function nodeAt(der: Uint8Array, at: number, end: number): Node {
  const tag = der[at];
  const first = der[at + 1];
  if (tag === undefined || first === undefined || at + 2 > end) throw new Error(BAD);
  let from = at + 2;
  let length = first;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 3) throw new Error(BAD);
    length = 0;
    for (let index = 0; index < count; index += 1) length = length * 256 + (der[from + index] ?? 0);
    from += count;
  }
  if (from + length > end) throw new Error(BAD);
  return { tag, from, to: from + length };
}

function children(der: Uint8Array, node: Node): Node[] {
  const found: Node[] = [];
  for (let at = node.from; at < node.to; ) {
    const child = nodeAt(der, at, node.to);
    found.push(child);
    at = child.to;
  }
  return found;
}

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const UTC_TIME = 0x17;
const CONTEXT_0 = 0xa0;
const CONTEXT_3 = 0xa3;

/** RFC 5280, 4.1: `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }`. */
function parse(der: Uint8Array): CertificateFile {
  const whole = nodeAt(der, 0, der.length);
  if (whole.tag !== SEQUENCE || whole.to !== der.length) throw new Error(BAD);
  const parts = children(der, whole);
  const body = parts[0];
  // A PKCS #8 or PKCS #1 key begins with a number where a certificate has a sequence.
  if (body?.tag === INTEGER) throw new Error(PRIVATE_KEY_TEXT);
  if (body?.tag !== SEQUENCE || parts.length !== 3) throw new Error(BAD);
  const fields = children(der, body);
  const start = fields[0]?.tag === CONTEXT_0 ? 1 : 0;
  const [serial, , issuer, validity, subject] = fields.slice(start);
  if (!serial || !issuer || !validity || !subject) throw new Error(BAD);
  const [before, after] = children(der, validity);
  if (!before || !after) throw new Error(BAD);
  return {
    base64: btoa(latin(der)),
    subject: nameText(der, subject),
    issuer: nameText(der, issuer),
    notBefore: timeOf(der, before),
    notAfter: timeOf(der, after),
    isCa: isCa(der, fields.find((field) => field.tag === CONTEXT_3)),
    serial: hex(der.slice(serial.from, serial.to)),
  };
}

const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("").toUpperCase();

/** Attribute types of names by the hexadecimal of their object identifiers (RFC 4514, section 3). */
const ATTRIBUTES: Record<string, string> = { "550403": "CN", "550405": "serialNumber", "550406": "C", "550407": "L", "550408": "ST", "55040A": "O", "55040B": "OU" };

/** A name in the order in which it is written; text only, whatever stands in it. */
function nameText(der: Uint8Array, name: Node): string {
  const parts: string[] = [];
  for (const set of children(der, name)) {
    for (const pair of children(der, set)) {
      const [type, value] = children(der, pair);
      if (!type || !value) continue;
      const oid = hex(der.slice(type.from, type.to));
      parts.push(`${ATTRIBUTES[oid] ?? oid}=${new TextDecoder().decode(der.slice(value.from, value.to))}`);
    }
  }
  return parts.join(",");
}

/** UTCTime or GeneralizedTime; years below 50 are of this century (RFC 5280, 4.1.2.5.1). */
function timeOf(der: Uint8Array, node: Node): Date {
  const text = latin(der.slice(node.from, node.to));
  const short = node.tag === UTC_TIME;
  const year = short ? Number(text.slice(0, 2)) + (Number(text.slice(0, 2)) < 50 ? 2000 : 1900) : Number(text.slice(0, 4));
  const rest = text.slice(short ? 2 : 4);
  const two = (at: number) => Number(rest.slice(at, at + 2));
  const time = new Date(Date.UTC(year, two(0) - 1, two(2), two(4), two(6), two(8)));
  if (Number.isNaN(time.getTime())) throw new Error(BAD);
  return time;
}

const BASIC_CONSTRAINTS = "551D13";
const BOOLEAN = 0x01;

function isCa(der: Uint8Array, extensions: Node | undefined): boolean {
  const list = extensions && children(der, extensions)[0];
  for (const extension of list ? children(der, list) : []) {
    const parts = children(der, extension);
    const oid = parts[0];
    const value = parts[parts.length - 1];
    if (!oid || !value || hex(der.slice(oid.from, oid.to)) !== BASIC_CONSTRAINTS) continue;
    const flag = children(der, nodeAt(der, value.from, value.to))[0];
    return flag?.tag === BOOLEAN && der[flag.from] !== 0;
  }
  return false;
}

/** Why `file` cannot be what somebody chose it for; nothing where it can.
 * @param ca whether it must be able to sign others */
export function certificateFault(file: CertificateFile, ca: boolean, now: Date): string | undefined {
  if (ca && !file.isCa) return `The certificate '${file.subject}' is no certificate authority (basic constraints CA:TRUE are missing).`;
  if (file.notAfter <= now) return `The certificate '${file.subject}' has expired on ${file.notAfter.toISOString()}.`;
  if (file.notBefore > now) return `The certificate '${file.subject}' is not valid before ${file.notBefore.toISOString()}.`;
  return undefined;
}
