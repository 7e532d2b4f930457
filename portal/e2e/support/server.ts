/** The program under test: started on a folder of its own, killed and started again, and called without the page. */

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";

const BINARY = process.env["FERROHUB_TEST_BINARY"] ?? "../target/debug/ferrohub";
/** Milliseconds that the program may take to be ready, on a busy machine. */
const READY_MS = 60_000;

interface Owner {
  tenantId: string;
  subscriptionId: string;
  clientId: string;
  clientSecret: string;
}

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  // What a test looks at; its members are the test's business.
  body: any;
}

/** Who uses the page. */
export interface Person {
  userName: string;
  password: string;
  /** Object id. */
  objectId: string;
}

export class Server {
  readonly folder = mkdtempSync(join(tmpdir(), "ferrohub-portal-"));
  readonly home = join(this.folder, "home");
  private readonly data = join(this.folder, "data");
  private process: ChildProcess | undefined;
  port = 0;
  mqttPort = 0;
  ca = "";
  owner!: Owner;
  private known: Person | undefined;

  /** Starts it; a second time on the port that it had. */
  async start(): Promise<void> {
    const flags = ["serve", "--data-dir", this.data, "--https-port", String(this.port), "--mqtt-port", "0", "--metrics-port", "0", "--log-level", "warn"];
    const child = spawn(BINARY, flags, { env: { PATH: process.env["PATH"] ?? "", HOME: this.folder }, stdio: ["ignore", "pipe", "inherit"] });
    this.process = child;
    await new Promise<void>((ready, failed) => {
      const timer = setTimeout(() => failed(new Error("the server was not ready in time")), READY_MS);
      child.once("exit", (code) => failed(new Error(`the server ended with ${code}`)));
      child.stdout?.on("data", (text: Buffer) => {
        if (!text.toString().includes(" ready in ")) return;
        clearTimeout(timer);
        ready();
      });
    });
    const info = JSON.parse(readFileSync(join(this.data, "server.json"), "utf8")) as { httpsPort: number; mqttPort: number };
    this.port = info.httpsPort;
    this.mqttPort = info.mqttPort;
    this.ca = readFileSync(join(this.data, "ca.pem"), "utf8");
    this.owner = JSON.parse(readFileSync(join(this.data, "owner.json"), "utf8")) as Owner;
  }

  /** A home for Chromium that trusts the server. */
  trust(): void {
    const database = join(this.home, ".pki", "nssdb");
    mkdirSync(database, { recursive: true });
    execFileSync("certutil", ["-N", "-d", `sql:${database}`, "--empty-password"]);
    execFileSync("certutil", ["-A", "-d", `sql:${database}`, "-t", "C,,", "-n", "ferrohub", "-i", join(this.data, "ca.pem")]);
  }

  /** Runs a command of the program beside it, and gives what it prints. */
  run(...words: string[]): string {
    return execFileSync(BINARY, words, { env: { PATH: process.env["PATH"] ?? "", HOME: this.folder, FERROHUB_DATA_DIR: this.data }, encoding: "utf8" });
  }

  /** A link that signs the installation's own person in. */
  link(): string {
    return this.run("owner", "link").trim().split("\n").at(-1) ?? "";
  }

  /** As a power cut would end it. */
  async kill(): Promise<void> {
    const child = this.process;
    this.process = undefined;
    if (!child || child.exitCode !== null) return;
    const gone = new Promise((done) => child.once("exit", done));
    child.kill("SIGKILL");
    await gone;
  }

  async end(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  get origin(): string {
    return `https://portal.localhost:${this.port}`;
  }

  get subscription(): string {
    return `/subscriptions/${this.owner.subscriptionId}`;
  }

  private raw(method: string, path: string, headers: Record<string, string>, body?: string): Promise<Answer> {
    return new Promise((answer, failed) => {
      const call = request({ host: "localhost", port: this.port, method, path, headers: { ...headers, ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }) }, ca: this.ca }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          let parsed: unknown = text;
          try {
            parsed = text === "" ? undefined : JSON.parse(text);
          } catch {
            // No JSON: the text itself.
          }
          answer({ status: response.statusCode ?? 0, headers: response.headers, body: parsed });
        });
      });
      call.on("error", failed);
      call.end(body);
    });
  }

  /** A call on the name of a hub or provisioning service, with whatever it carries. */
  at(host: string, method: string, path: string, headers: Record<string, string>, body?: string): Promise<Answer> {
    return this.raw(method, path, { ...headers, host }, body);
  }

  /** A call of the owner on the name of a hub or provisioning service, which must succeed. */
  async callAt(host: string, method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const resource = host.includes("provisioning") ? "https://azure-devices-provisioning.net" : "https://iothubs.azure.net";
    const { access_token } = await this.grant(this.owner, `${resource}/.default`);
    const text = body === undefined ? undefined : JSON.stringify(body);
    const answer = await this.at(host, method, path, { "authorization": `Bearer ${access_token}`, "content-type": "application/json", ...headers }, text);
    if (answer.status >= 300) throw new Error(`${method} ${host}${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer;
  }

  /** Object id of the owner's application. */
  async me(): Promise<string> {
    const { access_token } = await this.grant(this.owner, "https://management.azure.com/.default");
    return (JSON.parse(Buffer.from(access_token.split(".")[1] ?? "", "base64url").toString()) as { oid: string }).oid;
  }

  /** A provisioning service. */
  async service(group: string, name: string, properties: Record<string, unknown> = {}): Promise<string> {
    const id = `${group}/providers/Microsoft.Devices/provisioningServices/${name}`;
    await this.call("PUT", `${id}?api-version=2026-03-01-preview`, { location: "westeurope", sku: { name: "S1", capacity: 1 }, properties });
    return id;
  }

  /** A token of an application for a resource. */
  async grant(client: Pick<Owner, "clientId" | "clientSecret">, scope: string): Promise<{ access_token: string; expires_in: number }> {
    const form = new URLSearchParams({ grant_type: "client_credentials", client_id: client.clientId, client_secret: client.clientSecret, scope });
    const answer = await this.raw("POST", `/${this.owner.tenantId}/oauth2/v2.0/token`, { "content-type": "application/x-www-form-urlencoded" }, form.toString());
    if (answer.status !== 200) throw new Error(`token: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body as { access_token: string; expires_in: number };
  }

  /** A call of the owner, which must succeed unless `any`. */
  async call(method: string, path: string, body?: unknown, options: { any?: boolean; scope?: string } = {}): Promise<Answer> {
    const { access_token } = await this.grant(this.owner, options.scope ?? "https://management.azure.com/.default");
    const text = body === undefined ? undefined : JSON.stringify(body);
    const answer = await this.raw(method, encodeURI(path), { "authorization": `Bearer ${access_token}`, "content-type": "application/json" }, text);
    if (!options.any && answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer;
  }

  async group(name: string): Promise<string> {
    const id = `${this.subscription}/resourceGroups/${name}`;
    await this.call("PUT", `${id}?api-version=2021-04-01`, { location: "westeurope" });
    return id;
  }

  async identity(group: string, name: string): Promise<{ id: string; principalId: string }> {
    const id = `${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
    const made = await this.call("PUT", `${id}?api-version=2023-01-31`, { location: "westeurope" });
    return { id, principalId: made.body.properties.principalId as string };
  }

  /** A namespace with an identity, a credential and a policy. */
  async namespace(group: string, name: string): Promise<string> {
    const id = `${group}/providers/Microsoft.DeviceRegistry/namespaces/${name}`;
    const version = "?api-version=2026-03-01-preview";
    await this.call("PUT", id + version, { location: "westeurope", identity: { type: "SystemAssigned" }, properties: {} });
    await this.call("PUT", `${id}/credentials/default${version}`, { location: "westeurope" });
    await this.call("PUT", `${id}/credentials/default/policies/default${version}`, {
      location: "westeurope",
      properties: { certificate: { certificateAuthorityConfiguration: { keyType: "ECC" }, leafCertificateConfiguration: { validityPeriodInDays: 30 } } },
    });
    return id;
  }

  /** A hub that is linked to a namespace by an identity. */
  async hub(group: string, name: string, namespace: string, identity: string): Promise<string> {
    const id = `${group}/providers/Microsoft.Devices/IotHubs/${name}`;
    await this.call("PUT", `${id}?api-version=2026-03-01-preview`, {
      location: "westeurope",
      sku: { name: "GEN2", capacity: 1 },
      identity: { type: "UserAssigned", userAssignedIdentities: { [identity]: {} } },
      properties: { deviceRegistry: { namespaceResourceId: namespace, identityResourceId: identity } },
    });
    return id;
  }

  /** A person with these roles, each at its scope. */
  async person(name: string, roles: [role: string, scope: string][]): Promise<Person> {
    const userName = `${name}@plant.example`;
    const password = `${crypto.randomUUID()}aA1!`;
    const profile = { displayName: name, userPrincipalName: userName, mailNickname: name, accountEnabled: true, passwordProfile: { password, forceChangePasswordNextSignIn: false } };
    const made = await this.call("POST", "/v1.0/users", profile, { scope: "https://graph.microsoft.com/.default" });
    for (const [role, scope] of roles) await this.assign(role, scope, made.body.id as string);
    return { userName, password, objectId: made.body.id as string };
  }

  /** A person who may do what the owner's application may. */
  async ownerPerson(): Promise<Person> {
    if (this.known) return this.known;
    const person = await this.person("ann", []);
    const version = "?api-version=2022-04-01";
    const roles = await this.call("GET", `${this.subscription}/providers/Microsoft.Authorization/roleAssignments${version}&$filter=principalId eq '${await this.me()}'`);
    for (const { properties } of roles.body.value as { properties: { scope: string; roleDefinitionId: string } }[]) {
      await this.give(properties.roleDefinitionId, properties.scope, person.objectId);
    }
    this.known = person;
    return person;
  }

  async assign(role: string, scope: string, principal: string): Promise<void> {
    const version = "?api-version=2022-04-01";
    const found = await this.call("GET", `${scope}/providers/Microsoft.Authorization/roleDefinitions${version}&$filter=roleName eq '${role}'`);
    await this.give(found.body.value[0].id as string, scope, principal);
  }

  /** For whoever signs in as the owner, and for the owner's own calls. */
  async assignOwner(role: string, scope: string): Promise<void> {
    for (const principal of [await this.me(), (await this.ownerPerson()).objectId]) await this.assign(role, scope, principal);
  }

  private async give(role: string, scope: string, principal: string): Promise<void> {
    const properties = { roleDefinitionId: role, principalId: principal };
    await this.call("PUT", `${scope}/providers/Microsoft.Authorization/roleAssignments/${crypto.randomUUID()}?api-version=2022-04-01`, { properties });
  }
}
