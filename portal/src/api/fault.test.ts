import { expect, test } from "vitest";
import { deniedBy, Fault, faultOf, memberIn, refusalIn } from "./fault";

test("each plane's shape becomes one", () => {
  const arm = faultOf(409, { error: { code: "NamespaceInUse", message: "in use", target: "name", details: [{ code: "LinkedResource", message: "m", target: "/subscriptions/s" }] } }, "r1");
  expect(arm.plain()).toEqual({ status: 409, code: "NamespaceInUse", message: "in use", target: "name", requestId: "r1", details: [{ code: "LinkedResource", message: "m", target: "/subscriptions/s" }] });
  const hub = faultOf(404, { Message: "ErrorCode:DeviceNotFound;E2 Device d not registered", ExceptionMessage: "Tracking ID:abc-G:0-TimeStamp:x" });
  expect([hub.code, hub.message, hub.requestId]).toEqual(["DeviceNotFound", "E2 Device d not registered", "abc"]);
  const dps = faultOf(412, { errorCode: 412001, trackingId: "t", message: "Precondition failed" });
  expect([dps.code, dps.message, dps.requestId]).toEqual(["412001", "Precondition failed", "t"]);
  const keys = faultOf(400, { policyKey: "primaryKey", rotatedKeys: [], errors: [{ id: "d", moduleId: null, errorCode: "DeviceNotFound", errorStatus: "There is no d." }] });
  expect([keys.code, keys.message]).toEqual(["DeviceNotFound", "There is no d."]);
  const token = faultOf(400, { error: "invalid_grant", error_description: "AADSTS70008: ended" });
  expect([token.code, token.message]).toEqual(["invalid_grant", "AADSTS70008: ended"]);
});

test.each([undefined, "", "<html>", 5, null, [], {}, { error: null }, { error: {} }, { Message: 5 }])("an answer of no known shape is a fault too: %j", (body) => {
  const fault = faultOf(502, body);
  expect(fault).toBeInstanceOf(Fault);
  expect(fault.message).not.toBe("");
});

test.each([
  [{ result: "Failed", error: { code: "404", message: "No active credential" } }, "404"],
  [{ result: "failed" }, "Failed"],
  [{ result: "Succeeded" }, undefined],
  [{ properties: { result: "Failed" } }, undefined],
  [undefined, undefined],
  ["Failed", undefined],
])("what a 200 refuses: %j", (body, code) => {
  expect(refusalIn(body)?.code).toBe(code);
});

test("a refusal tells action, scope and principal", () => {
  const message = "The client 'x' with object id 'oid-1' does not have authorization to perform action 'Microsoft.Devices/IotHubs/write' over scope '/subscriptions/s/resourceGroups/g' or the scope is invalid. If access was recently granted, please refresh your credentials.";
  expect(faultOf(403, { error: { code: "AuthorizationFailed", message } }).denied).toEqual({ action: "Microsoft.Devices/IotHubs/write", scope: "/subscriptions/s/resourceGroups/g", principal: "oid-1", command: undefined });
  expect(faultOf(400, { error: { code: "x", message } }).denied).toBeUndefined();
  const late = faultOf(409, { error: { code: "AuthorizationFailed", message: `${message} To grant it: az role assignment create --role "Reader" --scope "/subscriptions/s"` } });
  expect(late.denied?.command).toBe('az role assignment create --role "Reader" --scope "/subscriptions/s"');
  expect(deniedBy("nothing of the kind")).toBeUndefined();
});

test.each([
  ["attestation.x509.signingCertificates.primary.certificate cannot be used: it is no certificate.", "attestation.x509.signingCertificates.primary.certificate"],
  ["iotHubs needs an allocationPolicy that chooses among them.", "iotHubs"],
  ["'tags' would have 9000 bytes of JSON", "tags"],
  ["The hub 'a.x' is not linked to the provisioning service 'd'.", undefined],
])("%s names its member", (message, member) => {
  expect(memberIn(message as string)).toBe(member);
  expect(faultOf(400, { errorCode: 400004, message }).target).toBe(member);
});
