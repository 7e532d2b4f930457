/** A device that sends one event: MQTT 3.1.1 over TLS, as much of it as that takes. Telemetry has no other way in. */

import { createHmac } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import type { Server } from "./server";

const DATA = "?api-version=2021-04-12";
const CONNECT = 0x10;
const CONNACK = 0x20;
const PUBLISH_ONCE_AT_LEAST = 0x32;
const PUBACK = 0x40;
/** Protocol level, and the flags: user name, password, clean session. */
const LEVEL_AND_FLAGS = [4, 0xc2];
const KEEP_ALIVE_S = 60;
/** Seconds for which the password holds. */
const VALID_S = 600;

/** Sends `body` as the device `id`, which exists; is over when the hub has it. */
export async function sendEvent(server: Server, hub: string, id: string, body: string): Promise<void> {
  const made = await server.callAt(hub, "GET", `/devices/${id}${DATA}`);
  const password = signature(`${hub}/devices/${id}`, made.body.authentication.symmetricKey.primaryKey as string);
  const socket = connect({ host: "localhost", port: server.mqttPort, servername: hub, ca: server.ca });
  try {
    const hello = [text("MQTT"), Buffer.from([...LEVEL_AND_FLAGS, 0, KEEP_ALIVE_S]), text(id), text(`${hub}/${id}/?api-version=2021-04-12`), text(password)];
    socket.write(packet(CONNECT, hello));
    const welcome = await answer(socket, CONNACK);
    if (welcome[3] !== 0) throw new Error(`CONNECT was answered with ${welcome[3]}`);
    socket.write(packet(PUBLISH_ONCE_AT_LEAST, [text(`devices/${id}/messages/events/`), Buffer.from([0, 1]), Buffer.from(body)]));
    await answer(socket, PUBACK);
  } finally {
    socket.destroy();
  }
}

/** A SharedAccessSignature for `resource`. */
function signature(resource: string, key: string): string {
  const end = Math.floor(Date.now() / 1000) + VALID_S;
  const name = encodeURIComponent(resource);
  const sig = createHmac("sha256", Buffer.from(key, "base64")).update(`${name}\n${end}`).digest("base64");
  return `SharedAccessSignature sr=${name}&sig=${encodeURIComponent(sig)}&se=${end}`;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

function packet(kind: number, parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length: number[] = [];
  for (let rest = body.length; length.length === 0 || rest > 0; rest >>= 7) length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
  return Buffer.concat([Buffer.from([kind, ...length]), body]);
}

/** The next packet, which is one of `kind`: those that are waited for are short, and come whole. */
function answer(socket: TLSSocket, kind: number): Promise<Buffer> {
  return new Promise((done, failed) => {
    socket.once("error", failed);
    socket.once("close", () => failed(new Error("the hub hung up")));
    socket.once("data", (data: Buffer) => (data[0] === kind ? done(data) : failed(new Error(`packet ${data[0]} came`))));
  });
}
