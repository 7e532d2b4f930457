/** The walks of Azure's two articles about the portal, each in one run and in their order, with their words on what is pressed. */

import { authority, device, namesOf } from "./support/authority";
import { assign, chooseRole, createAndGo, menu, open, searchFor, selectMember } from "./support/steps";
import { choose, expect, fresh, test } from "./support/test";

const VERSION = "?api-version=2026-03-01-preview";

test("002 whole: namespace, roles, policy, hub, service, links, sync, enrollment; then a device gets a certificate by them", async ({ portal, server }) => {
  test.setTimeout(420_000);
  const group = fresh("walk");
  await server.group(group);
  const identity = (await server.identity(`${server.subscription}/resourceGroups/${group}`, fresh("uami"))).id.split("/").pop() ?? "";
  const [ns, policy, hub, dps, line, pump] = [fresh("ns"), "custom-policy", fresh("hub"), fresh("dps"), fresh("line"), fresh("pump")];
  const namespace = `${server.subscription}/resourceGroups/${group}/providers/Microsoft.DeviceRegistry/namespaces/${ns}`;
  const page = await portal("/");

  // Additional prerequisites: Contributor for the Azure IoT Hub service at the resource group.
  await open(page, group);
  await menu(page, "Access control (IAM)");
  await page.getByRole("button", { name: "Add role assignment" }).click();
  await page.getByRole("tab", { name: "Privileged administrator roles" }).click();
  await chooseRole(page, "Contributor");
  await selectMember(page, "Azure IoT Hub", /^Azure IoT Hub \(/);
  await assign(page);

  // Create an ADR namespace with system-assigned managed identity.
  await searchFor(page, "Azure Device Registry", "Namespaces");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await choose(page, "Resource group", group);
  await page.getByRole("textbox", { name: "Name", exact: true }).fill(ns);
  await choose(page, "Region", "West Europe");
  await page.getByRole("button", { name: "Next: Identity" }).click();
  await expect(page.getByRole("switch", { name: "System-assigned managed identity" })).toBeChecked();
  await expect(page.getByRole("switch", { name: "Enable credential resource" })).toBeChecked();
  await page.getByRole("button", { name: "Next: Tags" }).click();
  await page.getByRole("button", { name: "Next: Review + create" }).click();
  await createAndGo(page, ns);

  // Get the principal ID for your namespace.
  await page.getByRole("button", { name: "JSON view" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Copy principalId" }).click();
  const principal = await page.evaluate(() => navigator.clipboard.readText());
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();

  // Assign roles to your managed identity.
  for (const role of ["Azure Device Registry Onboarding", "Azure Device Registry Contributor"]) {
    await open(page, ns);
    await menu(page, "Access control (IAM)");
    await page.getByRole("button", { name: "Add role assignment" }).click();
    await chooseRole(page, role);
    await page.getByRole("radio", { name: "Managed identity" }).check();
    await selectMember(page, identity, new RegExp(`^${identity} `));
    await assign(page);
  }

  // Create a custom policy for your namespace.
  await searchFor(page, "Azure Device Registry", "Namespaces");
  await page.getByRole("link", { name: ns, exact: true }).click();
  await menu(page, "Credential policies (Preview)");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  const pane = page.getByRole("dialog");
  await pane.getByLabel("Name").fill(policy);
  await pane.getByLabel("Validity period (days)").fill("60");
  await pane.getByRole("button", { name: "Next: Review + create" }).click();
  await pane.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("link", { name: "Go to resource" }).first().click();
  await page.getByRole("link", { name: ns, exact: true }).first().click();
  await menu(page, "Credential policies (Preview)");
  await expect(page.getByRole("row", { name: new RegExp(policy) })).toContainText("60");

  // Create an IoT hub in Azure portal.
  await searchFor(page, "Azure IoT Hub", "IoT hubs");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await choose(page, "Resource group", group);
  await page.getByRole("textbox", { name: "IoT hub name" }).fill(hub);
  await choose(page, "Region", "West Europe");
  await expect(page.getByRole("combobox", { name: "Tier" })).toHaveValue("Preview");
  await choose(page, "Device registry namespace", new RegExp(ns));
  await choose(page, "User-managed identity", new RegExp(identity));
  await page.getByRole("button", { name: "Next: Networking" }).click();
  await expect(page.getByRole("radio", { name: "Public access" })).toBeChecked();
  await expect(page.getByRole("combobox", { name: "Minimum TLS Version" })).toHaveValue("1.2");
  await page.getByRole("button", { name: "Next: Management" }).click();
  await expect(page.getByRole("spinbutton", { name: "Device-to-cloud partitions" })).toHaveValue("4");
  await page.getByRole("button", { name: "Next: Add-ons" }).click();
  await page.getByRole("button", { name: "Next: Tags" }).click();
  await page.getByRole("button", { name: "Next: Review + create" }).click();
  await createAndGo(page, hub);

  // Link your user-assigned managed identity to the IoT hub: it has it since it was made.
  await menu(page, "Identity");
  await page.getByRole("tab", { name: "User-assigned" }).click();
  await expect(page.getByRole("link", { name: identity })).toBeVisible();
  await expect(page.getByRole("button", { name: "Associate" })).toBeVisible();

  // Assign roles to the ADR namespace principal ID on your IoT hub.
  for (const [role, privileged] of [["Contributor", true], ["IoT Hub Registry Contributor", false]] as const) {
    await open(page, hub);
    await menu(page, "Access control (IAM)");
    await page.getByRole("button", { name: "Add role assignment" }).click();
    if (privileged) await page.getByRole("tab", { name: "Privileged administrator roles" }).click();
    await chooseRole(page, role);
    await selectMember(page, principal, new RegExp(ns));
    await assign(page);
  }

  // Create a DPS instance.
  await searchFor(page, "Device Provisioning Service", /Device Provisioning Services/);
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await choose(page, "Resource group", group);
  await page.getByRole("textbox", { name: "Name", exact: true }).fill(dps);
  await expect(page.getByText("Name is available.")).toBeVisible();
  await choose(page, "Region", "West Europe");
  await page.getByRole("button", { name: "Review + create" }).click();
  await createAndGo(page, dps);

  // Add your namespace to DPS.
  await page.getByRole("button", { name: "Click here to add a namespace" }).click();
  await choose(page, "ADR namespace", new RegExp(ns));
  await choose(page, "User-assigned managed identity", new RegExp(identity));
  await page.getByRole("dialog").getByRole("button", { name: "Add", exact: true }).click();
  await expect(page.getByRole("link", { name: ns, exact: true })).toBeVisible();
  const service = `${server.subscription}/resourceGroups/${group}/providers/Microsoft.Devices/provisioningServices/${dps}`;
  await server.assignOwner("Device Provisioning Service Data Contributor", service);

  // Link the IoT hub and your Device Provisioning Service instance.
  await menu(page, "Linked IoT hubs");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await choose(page, "IoT hub", hub);
  await expect(page.getByRole("combobox", { name: "Access Policy" })).toHaveValue("iothubowner (RegistryWrite, ServiceConnect, DeviceConnect)");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("button", { name: "Refresh" }).click();
  await expect(page.getByRole("button", { name: hub })).toBeVisible();

  // Sync policies to IoT hubs.
  await open(page, ns);
  await menu(page, "Credential policies (Preview)");
  await page.getByRole("checkbox", { name: `Mark ${policy}` }).check();
  await page.getByRole("button", { name: "Sync all" }).click();
  await expect(page.getByRole("alertdialog").getByText("This can't be undone.")).toBeVisible();
  await page.getByRole("alertdialog").getByRole("button", { name: "Sync all" }).click();
  await expect(page.getByRole("row", { name: new RegExp(policy) })).toContainText("1 of 1 synced");

  // Create an enrollment group and assign a policy.
  const ca = authority("Plant CA");
  await searchFor(page, "Device Provisioning Services", /Device Provisioning Services/);
  await page.getByRole("link", { name: dps, exact: true }).click();
  await menu(page, "Manage enrollments");
  await expect(page.getByRole("tab", { name: "Enrollment groups", selected: true })).toBeVisible();
  await page.getByRole("button", { name: "Add enrollment group" }).click();
  await choose(page, "Attestation mechanism", "X.509 intermediate certificates");
  await page.getByLabel("Primary certificate file").setInputFiles(ca.certificate);
  await page.getByRole("textbox", { name: "Group name" }).fill(line);
  await expect(page.getByRole("switch", { name: "Enable this enrollment" })).toBeChecked();
  await expect(page.getByRole("combobox", { name: "Reprovision policy" })).toHaveValue("Re-provision and migrate data");
  await page.getByRole("button", { name: "Next: IoT hubs" }).click();
  await page.getByRole("button", { name: "Next: Device settings" }).click();
  await page.getByRole("button", { name: "Next: Credential policies (Preview)" }).click();
  await choose(page, "Policy", new RegExp(`${policy} \\(60 days\\)`));
  await page.getByRole("button", { name: "Next: Review + create" }).click();
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByRole("heading", { name: /complete/ })).toBeVisible();

  // What it was for: a device that comes with the plant's certificate gets one of the policy, and is seen with it.
  const made = await server.call("GET", service + VERSION);
  const own = device(ca, pump);
  server.run("device", "run", "--id-scope", made.body.properties.idScope as string, "--registration-id", pump, "--certificate", own.certificate, "--certificate-key", own.key, "--csr", "--count", "1");
  await page.goto(`${server.origin}/portal/resource${namespace}/credentials/default/policies/${policy}/overview`);
  await page.getByRole("tab", { name: "Enrollments" }).click();
  await expect(page.getByRole("link", { name: line })).toBeVisible();
  await page.getByRole("tab", { name: "Certificates" }).click();
  await expect(page.getByRole("link", { name: pump })).toBeVisible();
  await page.getByRole("grid").getByRole("checkbox").nth(1).check();
  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download (PEM)" }).click();
  const file = await saving;
  expect(file.suggestedFilename()).toBe(`${pump}.pem`);
  expect(namesOf(await file.path())).toContain(pump);
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download CA (PEM)" }).click();
  const issuer = /issuer=(.*)/.exec(namesOf(await file.path()))?.[1] ?? "none";
  expect(namesOf(await (await saved).path())).toContain(`subject=${issuer}`);
  await page.getByRole("link", { name: pump }).click();
  await expect(page.getByRole("heading", { level: 1, name: pump, exact: true })).toBeVisible();
});

test("004 whole: a namespace for a service, policies, enrollments with a policy, sync of some, deletion", async ({ portal, server }) => {
  test.setTimeout(420_000);
  const group = await server.group(fresh("walk"));
  const groupName = group.split("/").pop() ?? "";
  const identity = await server.identity(group, fresh("uami"));
  const identityName = identity.id.split("/").pop() ?? "";
  const [dps, ns, line, pump] = [fresh("dps"), fresh("ns"), fresh("line"), fresh("pump")];
  const service = await server.service(group, dps);
  await server.assignOwner("Device Provisioning Service Data Contributor", service);
  const page = await portal("/");

  // Assign a namespace to a DPS instance, creating it on the way.
  await searchFor(page, "Device Provisioning Service", /Device Provisioning Services/);
  await page.getByRole("link", { name: dps, exact: true }).click();
  await page.getByRole("button", { name: "Click here to add a namespace" }).click();
  const pane = page.getByRole("dialog").last();
  await pane.getByRole("button", { name: "Create new" }).first().click();
  await choose(page, "Resource group", groupName);
  await page.getByRole("textbox", { name: "Name", exact: true }).fill(ns);
  await choose(page, "Region", "West Europe");
  await page.getByRole("button", { name: "Review + create" }).click();
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByRole("combobox", { name: "ADR namespace" })).toHaveValue(new RegExp(ns));
  const namespace = `${group}/providers/Microsoft.DeviceRegistry/namespaces/${ns}`;
  await server.assign("Azure Device Registry Contributor", namespace, identity.principalId);
  await choose(page, "User-assigned managed identity", new RegExp(identityName));
  await page.getByRole("dialog").last().getByRole("button", { name: "Add", exact: true }).click();
  await expect(page.getByRole("link", { name: ns, exact: true })).toBeVisible();

  // Create a custom policy for your namespace.
  await searchFor(page, "Azure Device Registry", "Namespaces");
  await page.getByRole("link", { name: ns, exact: true }).click();
  await menu(page, "Credential policies (Preview)");
  for (const [name, days] of [["one-year", "365"], ["ten-years", "3650"]] as const) {
    await page.getByRole("button", { name: "Create", exact: true }).click();
    await page.getByRole("dialog").getByLabel("Name").fill(name);
    await page.getByRole("dialog").getByLabel("Validity period (days)").fill(days);
    await page.getByRole("dialog").getByRole("button", { name: "Review + create" }).first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Create", exact: true }).click();
    await expect(page.getByRole("row", { name: new RegExp(name) })).toContainText(days);
  }
  await page.getByRole("grid").getByRole("link", { name: "one-year" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "one-year", exact: true })).toBeVisible();
  await expect(page.getByText("Enabled", { exact: true }).first()).toBeVisible();

  // Assign a policy when creating an enrollment group, and to an existing enrollment.
  const ca = authority("Plant CA");
  await searchFor(page, "Azure IoT Hub Device Provisioning Services", /Device Provisioning Services/);
  await page.getByRole("link", { name: dps, exact: true }).click();
  await menu(page, "Manage enrollments");
  await page.getByRole("button", { name: "Add enrollment group" }).click();
  await choose(page, "Attestation mechanism", "X.509 intermediate certificates");
  await page.getByLabel("Primary certificate file").setInputFiles(ca.certificate);
  await page.getByLabel("Secondary certificate file").setInputFiles(authority("Second CA").certificate);
  await page.getByRole("textbox", { name: "Group name" }).fill(line);
  await page.getByRole("tab", { name: "Credential policies (Preview)" }).click();
  await choose(page, "Policy", /one-year/);
  await page.getByRole("button", { name: "Review + create", exact: true }).click();
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await expect(page.getByRole("heading", { name: /complete/ })).toBeVisible();
  const host = `${dps}.azure-devices-provisioning.localhost`;
  const data = "?api-version=2025-07-01-preview";
  await server.callAt(host, "PUT", `/enrollments/${pump}${data}`, { registrationId: pump, attestation: { type: "symmetricKey" } });
  await page.goto(`${server.origin}/portal/resource${service}/enrollments`);
  await page.getByRole("tab", { name: "Individual enrollments" }).click();
  await page.getByRole("link", { name: pump }).click();
  await page.getByRole("tab", { name: "Credential policies (Preview)" }).click();
  await choose(page, "Policy", /ten-years/);
  await page.getByRole("button", { name: "Review + save", exact: true }).click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect.poll(async () => (await server.callAt(host, "GET", `/enrollments/${pump}${data}`)).body.credentialPolicyName).toBe("ten-years");
  expect((await server.callAt(host, "GET", `/enrollmentGroups/${line}${data}`)).body.credentialPolicyName).toBe("one-year");

  // Sync policies to IoT hubs: those that are marked.
  const hub = await server.hub(group, fresh("hub"), namespace, identity.id);
  const own = await server.call("GET", namespace + VERSION);
  await server.assign("Contributor", hub, own.body.identity.principalId as string);
  await searchFor(page, "Azure Device Registry", "Namespaces");
  await page.getByRole("link", { name: ns, exact: true }).click();
  await menu(page, "Credential policies (Preview)");
  for (const name of ["one-year", "ten-years"]) await page.getByRole("checkbox", { name: `Mark ${name}` }).check();
  await page.getByRole("button", { name: "Sync", exact: true }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Sync", exact: true }).click();
  await expect(page.getByText("1 of 1 synced")).toHaveCount(2);
  await expect(page.getByRole("row", { name: /^.*default/ })).toContainText("0 of 1 synced");

  // Delete a namespace: what is linked holds it, then nothing does.
  await menu(page, "Overview");
  const bar = page.getByRole("toolbar").getByRole("button", { name: "Delete" });
  await bar.click();
  await expect(page.getByRole("alertdialog").getByRole("link", { name: dps })).toBeVisible();
  await page.getByRole("alertdialog").getByRole("button", { name: "Close" }).click();
  for (const holder of [hub, service]) await server.call("DELETE", holder + VERSION);
  await page.getByRole("button", { name: "Refresh" }).click();
  await expect(page.getByRole("group", { name: "Linked hubs" })).toContainText("0");
  await bar.click();
  await page.getByRole("alertdialog").getByRole("textbox").fill(ns);
  await page.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
  await expect(page.getByRole("heading", { name: /complete/ })).toBeVisible();
  expect((await server.call("GET", namespace + VERSION, undefined, { any: true })).status).toBe(404);
});
