// What programs do with azure-iot-provisioning-service and -device, part by part: `node provisioning.cjs PART`. A part that fails throws.
"use strict";

const assert = require("node:assert/strict");
const { createHmac } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { ProvisioningDeviceClient } = require("azure-iot-provisioning-device");
const { Http } = require("azure-iot-provisioning-device-http");
const { Mqtt, MqttWs } = require("azure-iot-provisioning-device-mqtt");
const { ProvisioningServiceClient } = require("azure-iot-provisioning-service");
const { SymmetricKeySecurityClient } = require("azure-iot-security-symmetric-key");
const { X509Security } = require("azure-iot-security-x509");

const service = ProvisioningServiceClient.fromConnectionString(process.env.DPS_CONNECTION_STRING);
const scope = process.env.DPS_ID_SCOPE;
const pem = (name) => readFileSync(`${process.env[`FERROHUB_TEST_${name}`]}.pem`, "utf8");
const pair = (name) => ({ cert: pem(name), key: readFileSync(`${process.env[`FERROHUB_TEST_${name}`]}.key`, "utf8") });
const body = (answer) => answer.responseBody ?? answer;
const transports = { Http, Mqtt, MqttWs };

const register = (transport, security) =>
  ProvisioningDeviceClient.create("global.azure-devices-provisioning.localhost", scope, new transports[transport](), security).register();
const registered = async (transport, security, device) => {
  const state = await register(transport, security);
  assert.equal(state.status, "assigned", transport);
  assert.equal(state.deviceId, device, transport);
};
const collect = async (query) => {
  const found = [];
  for (let page = await query.next(); ; page = await query.next(query.continuationToken)) {
    found.push(...body(page).map((one) => one.registrationId ?? one.enrollmentGroupId));
    if (!query.hasMoreResults) {
      return found;
    }
  }
};

const parts = {
  // Individual enrollments from their making to their end, many at once, page by page.
  async individuals() {
    const keys = { type: "symmetricKey", symmetricKey: { primaryKey: Buffer.alloc(32, 1).toString("base64"), secondaryKey: Buffer.alloc(32, 2).toString("base64") } };
    const made = body(await service.createOrUpdateIndividualEnrollment({ registrationId: "node-one", attestation: keys, deviceId: "Node-One" }));
    assert.equal(made.deviceId, "Node-One");
    const changed = body(await service.createOrUpdateIndividualEnrollment({ ...made, provisioningStatus: "disabled" }));
    assert.equal(changed.provisioningStatus, "disabled");
    const mechanism = body(await service.getIndividualEnrollmentAttestationMechanism("node-one"));
    assert.equal(mechanism.symmetricKey.primaryKey, keys.symmetricKey.primaryKey);
    const others = ["node-two", "node-three"].map((registrationId) => ({ registrationId, attestation: { type: "symmetricKey" } }));
    const done = body(await service.runBulkEnrollmentOperation({ mode: "create", enrollments: others }));
    assert.equal(done.isSuccessful, true, JSON.stringify(done));
    const again = body(await service.runBulkEnrollmentOperation({ mode: "create", enrollments: others }));
    assert.equal(again.isSuccessful, false);
    assert.equal(again.errors.length, 2);
    const found = await collect(service.createIndividualEnrollmentQuery({ query: "SELECT * FROM enrollments" }, 1));
    for (const id of ["node-one", "node-two", "node-three"]) {
      assert.ok(found.includes(id), found.join(" "));
      await service.deleteIndividualEnrollment(id);
    }
    await assert.rejects(service.getIndividualEnrollment("node-one"), /not found|404/i);
  },

  // Groups by certificate: what is read can be written again.
  async groups() {
    const attestation = { type: "x509", x509: { signingCertificates: { primary: { certificate: pem("ROOT") } } } };
    const made = body(await service.createOrUpdateEnrollmentGroup({ enrollmentGroupId: "node-group", attestation }));
    assert.equal(made.attestation.x509.signingCertificates.primary.info.subjectName, "CN=node-factory");
    const changed = body(await service.createOrUpdateEnrollmentGroup({ ...made, provisioningStatus: "disabled" }));
    assert.equal(changed.attestation.x509.signingCertificates.primary.info.sha256Thumbprint, made.attestation.x509.signingCertificates.primary.info.sha256Thumbprint);
    assert.ok((await collect(service.createEnrollmentGroupQuery({ query: "SELECT * FROM enrollmentGroups" }, 1))).includes("node-group"));
    const mechanism = body(await service.getEnrollmentGroupAttestationMechanism("node-group"));
    assert.equal(mechanism.type, "x509");
    await service.deleteEnrollmentGroup(changed);
  },

  // The credential policy of enrollments that exist is set, kept by a change of something else, and cleared.
  async policies() {
    for (const [make, name, member] of [
      ["createOrUpdateIndividualEnrollment", "node-policy", "registrationId"],
      ["createOrUpdateEnrollmentGroup", "node-policies", "enrollmentGroupId"],
    ]) {
      const write = async (enrollment) => body(await service[make](enrollment));
      const made = await write({ [member]: name, attestation: { type: "symmetricKey" } });
      assert.ok(!made.credentialPolicyName, JSON.stringify(made));
      const set = await write({ ...made, credentialPolicyName: "default" });
      assert.equal(set.credentialPolicyName, "default");
      const kept = await write({ ...set, provisioningStatus: "disabled" });
      assert.equal(kept.credentialPolicyName, "default");
      await assert.rejects(write({ ...kept, credentialPolicyName: "no-such-policy" }), /400|Bad Request/i);
      const { credentialPolicyName: _, ...without } = kept;
      assert.ok(!(await write(without)).credentialPolicyName);
    }
    await service.deleteIndividualEnrollment("node-policy");
    await service.deleteEnrollmentGroup("node-policies");
  },

  // What is wrong is refused.
  async refused() {
    await assert.rejects(service.createOrUpdateIndividualEnrollment({ registrationId: "node-bad", attestation: { type: "symmetricKey", symmetricKey: { primaryKey: "short" } } }), /400|Bad Request/i);
    await assert.rejects(service.createOrUpdateEnrollmentGroup({ enrollmentGroupId: "node-bad", attestation: { type: "x509", x509: { signingCertificates: { primary: { certificate: pem("OWN") } } } } }), /400|Bad Request/i);
    for (const transport of Object.keys(transports)) {
      await assert.rejects(register(transport, new X509Security("node-own", pair("OWN"))), /.*/, transport);
    }
  },

  // Devices with a key: their own, and one derived from a group's.
  async keys() {
    const primaryKey = Buffer.alloc(32, 7).toString("base64");
    await service.createOrUpdateIndividualEnrollment({ registrationId: "node-key", deviceId: "Node-Key", attestation: { type: "symmetricKey", symmetricKey: { primaryKey, secondaryKey: primaryKey } } });
    await service.createOrUpdateEnrollmentGroup({ enrollmentGroupId: "node-keys", attestation: { type: "symmetricKey", symmetricKey: { primaryKey, secondaryKey: primaryKey } } });
    for (const transport of Object.keys(transports)) {
      await registered(transport, new SymmetricKeySecurityClient("node-key", primaryKey), "Node-Key");
      const id = `node-derived-${transport.toLowerCase()}`;
      const key = createHmac("sha256", Buffer.from(primaryKey, "base64")).update(id).digest("base64");
      await registered(transport, new SymmetricKeySecurityClient(id, key), id);
    }
    const state = body(await service.getDeviceRegistrationState("node-key"));
    assert.equal(state.deviceId, "Node-Key");
  },

  // What registered by a group, page by page, until it is deleted.
  async registrations() {
    const primaryKey = Buffer.alloc(32, 8).toString("base64");
    await service.createOrUpdateEnrollmentGroup({ enrollmentGroupId: "node-states", attestation: { type: "symmetricKey", symmetricKey: { primaryKey, secondaryKey: primaryKey } } });
    const ids = ["node-state-1", "node-state-2", "node-state-3"];
    await Promise.all(ids.map((id) => {
      const key = createHmac("sha256", Buffer.from(primaryKey, "base64")).update(id).digest("base64");
      return registered("Http", new SymmetricKeySecurityClient(id, key), id);
    }));
    const query = (size) => service.createEnrollmentGroupDeviceRegistrationStateQuery({ query: "SELECT * FROM enrollmentGroups" }, "node-states", size);
    const paged = query(2);
    assert.equal(body(await paged.next()).length, 2);
    assert.ok(paged.hasMoreResults && paged.continuationToken);
    assert.deepEqual((await collect(query(2))).sort(), ids);
    const state = body(await service.getDeviceRegistrationState(ids[0]));
    assert.equal(state.status, "assigned");
    await assert.rejects(service.deleteDeviceRegistrationState(ids[0], "bm9uZQ=="), /412|Precondition/i);
    await service.deleteDeviceRegistrationState(state);
    await service.deleteDeviceRegistrationState(ids[1]);
    assert.deepEqual(await collect(query(2)), [ids[2]]);
    await assert.rejects(service.getDeviceRegistrationState(ids[0]), /404|not found/i);
    await service.deleteEnrollmentGroup("node-states");
  },

  // Devices with a certificate: named by an individual enrollment, and signed by a group's CA.
  async certificates() {
    const own = { type: "x509", x509: { clientCertificates: { primary: { certificate: pem("OWN") } } } };
    await service.createOrUpdateIndividualEnrollment({ registrationId: "node-own", attestation: own });
    const signing = { type: "x509", x509: { signingCertificates: { primary: { certificate: pem("ROOT") } } } };
    await service.createOrUpdateEnrollmentGroup({ enrollmentGroupId: "node-signing", attestation: signing });
    for (const transport of Object.keys(transports)) {
      await registered(transport, new X509Security("node-own", pair("OWN")), "node-own");
      await registered(transport, new X509Security("node-signed", pair("SIGNED")), "node-signed");
    }
    await service.deleteIndividualEnrollment("node-own");
    await service.deleteEnrollmentGroup("node-signing");
  },
};

parts[process.argv[2]]().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
