import { expect, test } from "vitest";
import { deleteSteps, hubQueryText, hubsOf, newDeviceBody, statusSteps, thumbprintFault, type DeviceRow } from "./devices";

const row = (id: string, change: Partial<DeviceRow> = {}): DeviceRow => ({ id, hub: "h", hubId: "/h", status: "enabled", authentication: "sas", etag: "e", statusReason: null, edge: false, tags: {}, ...change });

test("a list of a hub asks for ids that begin so", () => {
  expect(hubQueryText("", {})).toBe("SELECT * FROM devices");
  expect(hubQueryText(" it's ", { status: "disabled", connection: "Connected" })).toBe(
    "SELECT * FROM devices WHERE STARTSWITH(deviceId, 'it''s') AND status = 'disabled' AND connectionState = 'Connected'",
  );
});

test("disabling leaves keys, reason and capabilities as they are, and leaves out what is disabled", () => {
  const steps = statusSteps([row("a/b", { edge: true, statusReason: "old" }), row("b", { status: "disabled" })], () => "h.x", "disabled");
  expect(steps).toHaveLength(1);
  expect(steps[0]).toMatchObject({ method: "PUT", audience: "hub", headers: { "If-Match": '"e"' }, body: { deviceId: "a/b", status: "disabled", statusReason: "old", capabilities: { iotEdge: true } } });
  expect(steps[0]?.path).toBe("/at/h.x/devices/a%2Fb?api-version=2021-04-12");
  expect(deleteSteps([row("c", { etag: "" })], () => "h.x")[0]).toMatchObject({ method: "DELETE", headers: { "If-Match": "*" } });
});

test("a new device has what its kind asks for", () => {
  const base = { id: "d", kind: "sas", autoKeys: true, primary: "p", secondary: "s", primaryThumbprint: "a", secondaryThumbprint: "b", enabled: true, edge: false };
  expect(newDeviceBody(base).authentication).toEqual({ type: "sas" });
  expect(newDeviceBody({ ...base, autoKeys: false }).authentication).toEqual({ type: "sas", symmetricKey: { primaryKey: "p", secondaryKey: "s" } });
  expect(newDeviceBody({ ...base, kind: "selfSigned", enabled: false })).toMatchObject({ status: "disabled", authentication: { type: "selfSigned", x509Thumbprint: { primaryThumbprint: "a", secondaryThumbprint: "b" } } });
  expect(newDeviceBody({ ...base, kind: "certificateAuthority" }).authentication).toEqual({ type: "certificateAuthority" });
});

test("thumbprints, and hubs of a registry device", () => {
  expect(["a".repeat(40), "F".repeat(64)].map(thumbprintFault)).toEqual([undefined, undefined]);
  expect(["", "a".repeat(41), "g".repeat(40)].every((text) => thumbprintFault(text) !== undefined)).toBe(true);
  expect(hubsOf({ properties: { endpoints: { outbound: { assigned: { hub1: {}, hub2: {} } } } } })).toEqual(["hub1", "hub2"]);
  expect(hubsOf({ properties: null })).toEqual([]);
});
