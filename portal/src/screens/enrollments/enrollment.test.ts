import { expect, test } from "vitest";
import type { Enrollment } from "../../api/provisioningData";
import { readCertificate } from "../../certificateFile";
import { afterWrite, azOf, bodyOf, differences, editedOf, faultsOf, fieldOf, FIRST, NOTHING, rebasedOnto, shownBody, unsentOf, valuesOf, type Values } from "./enrollment";

const CA =
  "MIIBwTCCAWegAwIBAgIUX3Tt1R/qjf5iEQc29hT2q21V6sEwCgYIKoZIzj0EAwIwNTELMAkGA1UEBhMCU0UxEjAQBgNVBAoMCVBsYW50IDxiPjESMBAGA1UEAwwJTGluZSAzIENBMCAXDTI2MTEyOTA0NTYyMloYDzIxMjYxMTA1MDQ1NjIyWjA1MQswCQYDVQQGEwJTRTESMBAGA1UECgwJUGxhbnQgPGI+MRIwEAYDVQQDDAlMaW5lIDMgQ0EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS8vzVTEDbec0SEVZhy7VTNxUwKGxh866zlpjwxnoExzhTCtdLBwr0Sd33VvI3Xuj5/VLGx6fWMm/BeYwVpACTeo1MwUTAdBgNVHQ4EFgQU6+GHekSjuAEcg71LbbZavxNxua0wHwYDVR0jBBgwFoAU6+GHekSjuAEcg71LbbZavxNxua0wDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiAhOJSj7Zm9Ali/I0gXneefwJ8RfrAgIbvZZGipaJw0BwIhAM8SzpVyNbElsZnjPSzmBZligZES3OJV27BxY/91W+h6";
const FILE = readCertificate(new TextEncoder().encode(CA));
const KEY = btoa("k".repeat(32));
const with_ = (change: Partial<Values>): Values => ({ ...FIRST, name: "line-3", ...change });

test("a group with keys that the service makes", () => {
  const body = bodyOf("group", with_({ policy: "default" }), NOTHING);
  expect(body).toEqual({
    enrollmentGroupId: "line-3",
    attestation: { type: "symmetricKey" },
    capabilities: { iotEdge: false },
    initialTwin: { tags: {}, properties: { desired: {} } },
    provisioningStatus: "enabled",
    reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: true },
    credentialPolicyName: "default",
  });
});

test("own keys are sent and never shown", () => {
  const body = bodyOf("individual", with_({ autoKeys: false }), { ...NOTHING, primaryKey: KEY, secondaryKey: KEY });
  expect(body.registrationId).toBe("line-3");
  expect(body.attestation.symmetricKey?.primaryKey).toBe(KEY);
  expect(JSON.stringify(shownBody(body))).not.toContain(KEY);
});

test("certificates: signing ones of a group, client ones of one device, references", () => {
  const files = { ...NOTHING, primary: FILE };
  expect(bodyOf("group", with_({ mechanism: "x509" }), files).attestation).toEqual({ type: "x509", x509: { signingCertificates: { primary: { certificate: CA } } } });
  expect(bodyOf("individual", with_({ mechanism: "client" }), files).attestation).toEqual({ type: "x509", x509: { clientCertificates: { primary: { certificate: CA } } } });
  expect(bodyOf("group", with_({ mechanism: "ca", secondaryCa: "root" }), NOTHING).attestation).toEqual({ type: "x509", x509: { caReferences: { secondary: "root" } } });
  expect(bodyOf("individual", with_({ mechanism: "tpm", endorsementKey: " AA== " }), NOTHING).attestation).toEqual({ type: "tpm", tpm: { endorsementKey: "AA==" } });
});

const THERE: Enrollment = {
  enrollmentGroupId: "line-3",
  etag: "e1",
  attestation: { type: "x509", x509: { signingCertificates: { primary: { info: { sha256Thumbprint: "A" } }, secondary: null } } },
  provisioningStatus: "disabled",
  reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: false },
  allocationPolicy: "static",
  iotHubs: ["a.x"],
  initialTwin: { tags: { site: 7 }, properties: { desired: { rate: 1 } } },
  credentialPolicyName: "default",
  createdDateTimeUtc: "2026-01-01T00:00:00Z",
};

test("an enrollment that is there comes back as it was", () => {
  const values = valuesOf("group", THERE);
  expect(values).toMatchObject({ mechanism: "x509", enabled: false, reprovision: "reset", allocation: "static", hubs: ["a.x"], policy: "default", etag: "e1" });
  expect(faultsOf("group", values, NOTHING, true)).toEqual({});
  const { etag: _etag, createdDateTimeUtc: _created, ...rest } = THERE;
  expect(bodyOf("group", values, NOTHING, THERE)).toEqual({ ...rest, attestation: { type: "x509", x509: { signingCertificates: { primary: { info: { sha256Thumbprint: "A" } } } } }, capabilities: { iotEdge: false } });
  const without = bodyOf("group", { ...values, policy: "", allocation: "", hubs: [] }, NOTHING, THERE);
  expect(["credentialPolicyName", "allocationPolicy", "iotHubs"].filter((name) => name in without)).toEqual([]);
  const exchanged = bodyOf("group", values, { ...NOTHING, secondary: FILE }, THERE);
  expect(exchanged.attestation.x509?.signingCertificates).toEqual({ primary: { info: { sha256Thumbprint: "A" } }, secondary: { certificate: CA } });
});

test.each([
  [{ name: "" }, "name"],
  [{ name: "a." }, "name"],
  [{ mechanism: "x509" }, "files"],
  [{ mechanism: "ca" }, "primaryCa"],
  [{ mechanism: "tpm" }, "endorsementKey"],
  [{ autoKeys: false }, "primaryKey"],
  [{ hubs: ["a"] }, "allocation"],
  [{ hubs: ["a", "b"], allocation: "static" }, "hubs"],
  [{ allocation: "custom" }, "webhookUrl"],
  [{ tags: "{" }, "tags"],
  [{ desired: "[]" }, "desired"],
] as [Partial<Values>, string][])("%j is refused at %s", (change, field) => {
  const faults = faultsOf("group", with_(change), NOTHING, false);
  expect(Object.entries(faults).filter(([, fault]) => fault).map(([name]) => name)).toContain(field);
});

test.each([
  ["attestation.x509.signingCertificates.primary.certificate", "mechanism"],
  ["attestation.x509.caReferences", "primaryCa"],
  ["initialTwin", "desired"],
  ["iotHubs", "hubs"],
  ["credentialPolicyName", "policy"],
  ["something", undefined],
])("a refusal of %s is shown at %s", (target, field) => {
  expect(fieldOf(target)).toBe(field);
});

test("the line of az, and what differs", () => {
  const line = azOf("group", "dps", "g", with_({ mechanism: "x509", policy: "default", tags: '{\n  "site": 7\n}' }), { ...NOTHING, primary: FILE }, false);
  expect(line).toBe(
    "az iot dps enrollment-group create --dps-name dps --resource-group g --enrollment-id line-3 --certificate-path primary.pem --provisioning-status enabled --reprovision-policy reprovisionandmigratedata --initial-twin-tags '{ \"site\": 7 }' --credential-policy-name default",
  );
  const theirs = valuesOf("group", THERE);
  expect(differences(theirs, { ...theirs, policy: "", enabled: true }).map((each) => each.label)).toEqual(["Enable this enrollment", "Policy"]);
});

test("mine on top of theirs: what I left alone is theirs, certificates too", () => {
  const mine: Values = { ...editedOf("group", THERE), enabled: true, tags: '{"site": 7, "mine": 1}' };
  const now: Enrollment = {
    ...THERE,
    etag: "e2",
    attestation: { type: "x509", x509: { signingCertificates: { primary: { info: { sha256Thumbprint: "B" } } } } },
    iotHubs: ["b.x"],
    credentialPolicyName: "line",
    initialTwin: { tags: { site: 8, theirs: 2 }, properties: { desired: { rate: 9 } } },
  };
  const theirs = valuesOf("group", now);
  const merged = rebasedOnto(mine, theirs);
  expect(merged).toMatchObject({ enabled: true, hubs: ["b.x"], policy: "line", etag: "e2" });
  const body = bodyOf("group", merged, NOTHING, now);
  expect(body.attestation).toEqual({ type: "x509", x509: { signingCertificates: { primary: { info: { sha256Thumbprint: "B" } } } } });
  expect(body).toMatchObject({ provisioningStatus: "enabled", iotHubs: ["b.x"], credentialPolicyName: "line", initialTwin: { tags: { site: 8, mine: 1, theirs: 2 }, properties: { desired: { rate: 9 } } } });
  expect("before" in body).toBe(false);
  expect(differences(theirs, mine, merged).map((each) => each.label)).toEqual(["Enable this enrollment", "Target IoT hubs", "Device tags", "Desired properties", "Policy"]);
  expect(differences(theirs, mine, merged).find((each) => each.label === "Policy")).toEqual({ label: "Policy", theirs: "line", mine: "line" });
});

test("what was typed while a write was under way stays, and the next one has it on top of what was written", () => {
  const sent: Values = { ...editedOf("group", THERE), enabled: true };
  const written: Enrollment = { ...THERE, etag: "e2", provisioningStatus: "enabled" };
  const now = valuesOf("group", written);
  const typed: Values = { ...sent, allocation: "hashed", tags: '{"site": 7, "ne' };
  expect(afterWrite(typed, sent, now)).toEqual({ ...now, allocation: "hashed", tags: typed.tags, before: now });
  // Theirs, under which it was written, are there; half a JSON is not touched.
  const theirs = { ...now, tags: '{"site": 7, "theirs": 1}' };
  expect(JSON.parse(afterWrite({ ...sent, tags: '{"site": 9}' }, sent, theirs).tags)).toEqual({ site: 9, theirs: 1 });
  expect(afterWrite(typed, sent, theirs).tags).toBe(typed.tags);
  expect(unsentOf({ ...NOTHING, primary: FILE, secondary: FILE }, { ...NOTHING, primary: FILE })).toEqual({ ...NOTHING, secondary: FILE });
});
