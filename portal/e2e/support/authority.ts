/** A certificate authority of a plant, and devices under it, as files that openssl makes. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Files {
  certificate: string;
  key: string;
}

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/** A CA certificate and its key. */
export function authority(name: string): Files {
  const folder = mkdtempSync(join(tmpdir(), "ferrohub-ca-"));
  const [certificate, key] = [join(folder, "ca.pem"), join(folder, "ca-key.pem")];
  openssl("req", "-x509", ...KEY, "-keyout", key, "-out", certificate, "-days", "3650", "-subj", `/CN=${name}`, "-addext", "keyUsage=critical,keyCertSign");
  return { certificate, key };
}

/** A device's certificate under it, and its key. */
export function device({ certificate: ca, key: caKey }: Files, id: string): Files {
  const folder = mkdtempSync(join(tmpdir(), "ferrohub-device-"));
  const [certificate, key, request, extensions] = ["device.pem", "key.pem", "request.pem", "extensions"].map((name) => join(folder, name)) as [string, string, string, string];
  writeFileSync(extensions, "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n");
  openssl("req", "-new", ...KEY, "-keyout", key, "-out", request, "-subj", `/CN=${id}`);
  openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", caKey, "-CAcreateserial", "-days", "30", "-out", certificate, "-extfile", extensions);
  return { certificate, key };
}

/** Subject and issuer of the first certificate of a file. */
export function namesOf(file: string): string {
  return execFileSync("openssl", ["x509", "-in", file, "-noout", "-subject", "-issuer"], { encoding: "utf8" });
}

function openssl(...words: string[]): void {
  execFileSync("openssl", words, { stdio: "ignore" });
}
