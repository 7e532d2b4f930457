// What programs do with azure-iothub and azure-iot-device, part by part: `node parts.cjs PART`. A part that fails throws.
"use strict";

const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const { errors, Message } = require("azure-iot-common");
const { Client, ModuleClient } = require("azure-iot-device");
const { Mqtt, MqttWs } = require("azure-iot-device-mqtt");
const { Registry } = require("azure-iothub");
const { ProvisioningDeviceClient } = require("azure-iot-provisioning-device");
const provisioning = require("azure-iot-provisioning-device-mqtt");
const { SymmetricKeySecurityClient } = require("azure-iot-security-symmetric-key");

const owner = process.env.IOTHUB_CONNECTION_STRING;
const hub = /HostName=([^;]+)/.exec(owner)[1];
const registry = Registry.fromConnectionString(owner);

const make = async (description) => (await registry.create(description)).responseBody;
const read = async (id) => (await registry.get(id)).responseBody;
const change = async (description) => (await registry.update(description)).responseBody;
const stringOf = (device) => `HostName=${hub};DeviceId=${device.deviceId};SharedAccessKey=${device.authentication.symmetricKey.primaryKey}`;
const fails = (promise, type, text) =>
  assert.rejects(promise, (error) => {
    assert.equal(error.name, type.name, `${error.name}: ${error.message}`);
    assert.match(error.message, text);
    return true;
  });

const within = (seconds, what, promise) => {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${seconds} s in vain: ${what}`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

const parts = {
  // A device from its making to its end, and the names of what goes wrong.
  async registry() {
    const id = "node-registry";
    const keys = { primaryKey: Buffer.alloc(32, 1).toString("base64"), secondaryKey: Buffer.alloc(32, 2).toString("base64") };
    const made = await make({ deviceId: id, status: "disabled", authentication: { symmetricKey: keys } });
    assert.deepEqual({ ...made.authentication.symmetricKey }, keys);
    assert.equal((await read(id)).status, "disabled");
    await fails(make({ deviceId: id }), errors.DeviceAlreadyExistsError, /already/);
    const enabled = await change({ ...made, status: "enabled" });
    assert.equal(enabled.status, "enabled");
    assert.deepEqual({ ...enabled.authentication.symmetricKey }, keys);
    const prints = { primaryThumbprint: "0".repeat(40), secondaryThumbprint: "1".repeat(40) };
    const signed = await make({ deviceId: `${id}-x509`, authentication: { x509Thumbprint: prints } });
    assert.deepEqual({ ...signed.authentication.x509Thumbprint }, prints);
    await fails(make({ deviceId: "invalid/name" }), errors.ArgumentError, /device id/);
    await fails(change({ deviceId: id, status: "asleep" }), errors.ArgumentError, /'status'/);
    for (const one of [id, `${id}-x509`]) {
      await registry.delete(one);
      await fails(registry.get(one), errors.DeviceNotFoundError, /has no device/);
    }
    await fails(registry.delete(id), errors.DeviceNotFoundError, /has no device/);
    const stranger = Registry.fromConnectionString(owner.replace(/SharedAccessKey=.*/, `SharedAccessKey=${keys.primaryKey}`));
    await fails(stranger.get(id), errors.UnauthorizedError, /./);
  },

  // Edge devices above one another and a device below them.
  async hierarchy() {
    const root = await make({ deviceId: "node-root", capabilities: { iotEdge: true } });
    assert.match(root.deviceScope, /^ms-azure-iot-edge:\/\/node-root-\d+$/);
    const nested = await make({ deviceId: "node-nested", capabilities: { iotEdge: true }, parentScopes: [root.deviceScope] });
    assert.deepEqual(nested.parentScopes, [root.deviceScope]);
    const leaf = await make({ deviceId: "node-leaf", deviceScope: nested.deviceScope });
    assert.deepEqual([leaf.deviceScope, leaf.parentScopes], [nested.deviceScope, [nested.deviceScope]]);
    await fails(change({ ...leaf, deviceScope: "f6dfae3c-0000-4000-8000-000000000001" }), errors.ArgumentError, /scope/i);
    const moved = await change({ ...leaf, deviceScope: root.deviceScope, parentScopes: [root.deviceScope] });
    assert.equal(moved.deviceScope, root.deviceScope);
    for (const id of ["node-leaf", "node-nested", "node-root"]) {
      await registry.delete(id);
    }
  },

  // A device sends, reports and is told; the service reads and changes its twin.
  async device() {
    const id = "node-device";
    const client = Client.fromConnectionString(stringOf(await make({ deviceId: id })), Mqtt);
    await client.setOptions({ modelId: "dtmi:com:example:Thermostat;1" });
    await client.open();
    try {
      for (let number = 0; number < 3; number += 1) {
        const message = new Message(JSON.stringify({ number }));
        message.messageId = `${id}-${number}`;
        message.contentType = "application/json";
        message.properties.add("level", "info & more");
        await client.sendEvent(message);
      }
      const twin = await client.getTwin();
      await new Promise((done, failed) => twin.properties.reported.update({ firmware: "1.2.3" }, (error) => (error ? failed(error) : done())));
      const told = new Promise((done) => twin.on("properties.desired.interval", done));
      const seen = (await registry.getTwin(id)).responseBody;
      assert.equal(seen.properties.reported.firmware, "1.2.3");
      assert.equal(seen.modelId, "dtmi:com:example:Thermostat;1");
      assert.equal(seen.connectionState, "Connected");
      await registry.updateTwin(id, { properties: { desired: { interval: 7 } } }, seen.etag);
      assert.equal(await within(30, "the desired property", told), 7);
      await fails(registry.updateTwin(id, { tags: { site: 1 } }, "AAAAAAAAAAE="), errors.InvalidEtagError, /./);
      // Handlers of what is not built do not break a program.
      client.on("message", () => {});
      client.onDeviceMethod("reboot", () => {});
      await client.sendEvent(new Message("still there"));
    } finally {
      await client.close();
    }
    await registry.delete(id);
  },

  // The same over WebSocket on port 443: by DPS to the hub, with a key and with a chain that the hub's own CA issued.
  async webSocket() {
    const id = process.env.DEVICE_ID;
    const security = new SymmetricKeySecurityClient(id, process.env.DEVICE_KEY);
    const host = "global.azure-devices-provisioning.localhost";
    const dps = ProvisioningDeviceClient.create(host, process.env.ID_SCOPE, new provisioning.MqttWs(), security);
    const registered = await within(60, "the registration", dps.register());
    assert.deepEqual([registered.assignedHub, registered.deviceId], [hub, id]);
    const byKey = Client.fromConnectionString(`HostName=${hub};DeviceId=${id};SharedAccessKey=${process.env.DEVICE_KEY}`, MqttWs);
    const byChain = Client.fromConnectionString(`HostName=${hub};DeviceId=${process.env.CHAIN_ID};x509=true`, MqttWs);
    await byChain.setOptions({ cert: readFileSync(process.env.CHAIN_FILE, "utf8"), key: readFileSync(process.env.CHAIN_KEY_FILE, "utf8") });
    for (const client of [byKey, byChain]) {
      await within(30, "a connection", client.open());
      try {
        await client.sendEvent(new Message("x".repeat(100000)));
        const twin = await client.getTwin();
        await new Promise((done, failed) => twin.properties.reported.update({ over: "ws" }, (error) => (error ? failed(error) : done())));
      } finally {
        await client.close();
      }
    }
    assert.equal((await registry.getTwin(id)).responseBody.properties.reported.over, "ws");
    const wrong = Client.fromConnectionString(`HostName=${hub};DeviceId=${id};SharedAccessKey=d3JvbmcgLSBhIHdyb25nIGtleSBvZiAzMiBieXRlcw==`, MqttWs);
    await within(20, "a refusal", fails(wrong.open(), errors.UnauthorizedError, /Not authorized/));
  },

  // The lists, the queries, bulk and statistics of the registry, and the modules of its own end-to-end suite.
  async lists() {
    const ids = ["node-list-1", "node-list-2", "node-list-3"];
    const added = await registry.addDevices(ids.map((deviceId) => ({ deviceId })));
    assert.deepEqual([added.responseBody.isSuccessful, added.responseBody.errors], [true, []]);
    await fails(registry.addDevices([{ deviceId: ids[0] }]), errors.ArgumentError, /./);
    const listed = (await registry.list()).responseBody.map((device) => device.deviceId);
    assert.ok(ids.every((id) => listed.includes(id)), `${listed}`);
    await registry.updateTwin(ids[0], { tags: { nodeList: 1 } }, "*");
    await registry.updateTwin(ids[1], { tags: { nodeList: 2 } }, "*");
    const twins = registry.createQuery("SELECT * FROM devices WHERE tags.nodeList >= 1", 1);
    const found = [];
    while (twins.hasMoreResults) {
      const page = (await twins.nextAsTwin()).result;
      assert.ok(page.length <= 1);
      found.push(...page.map((twin) => [twin.deviceId, twin.tags.nodeList]));
    }
    assert.deepEqual(found, [[ids[0], 1], [ids[1], 2]]);
    const raw = registry.createQuery("SELECT COUNT() AS count, SUM(tags.nodeList) AS sum FROM devices WHERE IS_DEFINED(tags.nodeList)");
    assert.deepEqual((await raw.next()).result, [{ count: 2, sum: 3 }]);
    await fails(registry.createQuery("SELECT * FROM devices WHERE").next(), errors.ArgumentError, /position 28/);
    const disabled = await registry.updateDevices(ids.map((deviceId) => ({ deviceId, status: "disabled" })), true);
    assert.ok(disabled.responseBody.isSuccessful);
    const statistics = (await registry.getRegistryStatistics()).responseBody;
    assert.ok(statistics.disabledDeviceCount >= 3 && statistics.totalDeviceCount >= 3, JSON.stringify(statistics));
    const removed = await registry.removeDevices(ids.map((deviceId) => ({ deviceId })), true);
    assert.ok(removed.responseBody.isSuccessful);
    await fails(registry.get(ids[2]), errors.DeviceNotFoundError, /has no device/);
  },

  // azure-iothub's own module_crud suite, and a module that connects.
  async modules() {
    const device = await make({ deviceId: "node-modules" });
    const name = { deviceId: device.deviceId, moduleId: "m1" };
    await registry.addModule({ ...name, managedBy: "me" });
    await assert.rejects(registry.addModule(name), /already/);
    const module = (await registry.getModule(name.deviceId, name.moduleId)).responseBody;
    assert.deepEqual([module.managedBy, module.connectionState], ["me", "Disconnected"]);
    const all = (await registry.getModulesOnDevice(name.deviceId)).responseBody;
    assert.deepEqual(all.map((one) => one.moduleId), ["m1"]);
    const changed = (await registry.updateModule({ ...module, managedBy: "you" }, true)).responseBody;
    assert.equal(changed.managedBy, "you");
    const twin = (await registry.updateModuleTwin(name.deviceId, name.moduleId, { properties: { desired: { speed: 3 } } }, "*")).responseBody;
    assert.equal(twin.properties.desired.speed, 3);

    const key = changed.authentication.symmetricKey.primaryKey;
    const client = ModuleClient.fromConnectionString(`HostName=${hub};DeviceId=${name.deviceId};ModuleId=m1;SharedAccessKey=${key}`, Mqtt);
    await within(30, "a connection", client.open());
    const own = await client.getTwin();
    assert.equal(own.properties.desired.speed, 3);
    await new Promise((done, failed) => own.properties.reported.update({ seen: true }, (error) => (error ? failed(error) : done())));
    await client.sendEvent(new Message("from a module"));
    const seen = registry.createQuery("SELECT moduleId, connectionState, properties.reported.seen FROM devices.modules WHERE deviceId = 'node-modules'");
    assert.deepEqual((await seen.next()).result, [{ moduleId: "m1", connectionState: "Connected", seen: true }]);
    await client.close();
    await registry.removeModule(name.deviceId, name.moduleId);
    assert.deepEqual((await registry.getModulesOnDevice(name.deviceId)).responseBody, []);
    await registry.delete(name.deviceId);
  },

  // What is not there, or not built, is refused at once instead of being tried again for minutes.
  async refused() {
    const device = await make({ deviceId: "node-refused" });
    const wrong = Client.fromConnectionString(stringOf(device).replace(/SharedAccessKey=.*/, "SharedAccessKey=d3JvbmcgLSBhIHdyb25nIGtleSBvZiAzMiBieXRlcw=="), Mqtt);
    const module = ModuleClient.fromConnectionString(stringOf(device).replace(";SharedAccessKey", ";ModuleId=m1;SharedAccessKey"), Mqtt);
    for (const client of [wrong, module]) {
      await within(20, "a refusal", fails(client.open(), errors.UnauthorizedError, /Not authorized/));
    }
    await registry.delete("node-refused");
  },
};

parts[process.argv[2]]().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
