// A device that attests by its TPM with azure-iot-security-tpm: `node tpm.cjs enroll|register|refused`. The TPM answers at TPM_PORT.
"use strict";

const assert = require("node:assert/strict");
const { promisify } = require("node:util");
const { ProvisioningDeviceClient } = require("azure-iot-provisioning-device");
const { Http } = require("azure-iot-provisioning-device-http");
const { ProvisioningServiceClient } = require("azure-iot-provisioning-service");
const { TpmSecurityClient } = require("azure-iot-security-tpm");
const tss = require("tss.js");

const device = process.env.DEVICE_ID;
const tpm = new tss.Tpm(true, "127.0.0.1", Number(process.env.TPM_PORT));
const security = new TpmSecurityClient(device, tpm);
const service = ProvisioningServiceClient.fromConnectionString(process.env.DPS_CONNECTION_STRING);
const register = () =>
  ProvisioningDeviceClient.create("global.azure-devices-provisioning.localhost", process.env.DPS_ID_SCOPE, new Http(), security).register();

const parts = {
  // Enrolled by its endorsement key, it proves that it holds it, and signs in with a key that never leaves the TPM.
  async register() {
    const endorsementKey = (await promisify(security.getEndorsementKey.bind(security))()).toString("base64");
    await service.createOrUpdateIndividualEnrollment({ registrationId: device, attestation: { type: "tpm", tpm: { endorsementKey } } });
    // It gives the operation with the registration in it, where other kinds of attestation give the registration.
    const { status, registrationState: state } = await register();
    assert.equal(status, "assigned");
    assert.equal(state.deviceId, device);
    assert.equal(state.assignedHub, process.env.HUB_HOST);
    const text = `${encodeURIComponent(`${state.assignedHub}/devices/${device}`)}\n${process.env.EXPIRY}`;
    const signature = await promisify(security.signWithIdentity.bind(security))(Buffer.from(text));
    const [resource] = text.split("\n");
    console.log(`SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature.toString("base64"))}&se=${process.env.EXPIRY}`);
  },

  // Another TPM than the enrolled one gets no challenge that it could take apart.
  async refused() {
    await assert.rejects(register(), /.+/);
  },
};

parts[process.argv[2]]().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
