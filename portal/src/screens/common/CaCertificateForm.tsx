/** The form of a CA certificate. */

import { Button } from "@fluentui/react-components";
import { useState } from "react";
import { armPath } from "../../api/arm";
import { azLine } from "../../azLine";
import { type CertificateFile } from "../../certificateFile";
import { AzLine } from "../../frames/AzLine";
import { CertificateField } from "../../frames/CertificateField";
import { SwitchField, TextField } from "../../frames/Fields";
import type { BladeProps } from "../../frames/ResourcePage";
import { caCertificateName } from "../../rules";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";

export default function AddForm({ id, onDone }: { id: BladeProps["id"]; onDone: () => void }) {
  const [name, setName] = useState("");
  const [file, setFile] = useState<CertificateFile | undefined>(undefined);
  const [verified, setVerified] = useState(false);
  const hub = id.type.toLowerCase().endsWith("iothubs");
  const ready = !caCertificateName(name) && file !== undefined;
  const add = () => {
    if (!ready || !file) return;
    const title = t.caCertificates.plan(name);
    deployments.start({ title, steps: [{ title, method: "PUT", path: armPath(`${id.id}/certificates/${name}`), body: { properties: { certificate: file.base64, isVerified: verified } } }] });
    onDone();
  };
  return (
    <>
      <TextField label={t.caCertificates.name} required value={name} fault={name === "" ? undefined : caCertificateName(name)} onChange={setName} />
      <CertificateField label={t.caCertificates.file} required ca value={file} onChange={setFile} />
      <SwitchField label={t.caCertificates.verified} value={verified} hint={t.caCertificates.verifiedHint} onChange={setVerified} />
      {ready && <AzLine lines={azLine(`iot ${hub ? "hub" : "dps"} certificate create`, { [hub ? "hub-name" : "dps-name"]: id.name, "resource-group": id.group, [hub ? "name" : "certificate-name"]: name, path: `${name}.pem`, verified: verified ? "true" : undefined })} />}
      <Button appearance="primary" disabledFocusable={!ready} onClick={add} style={{ marginTop: "12px" }}>
        {t.common.save}
      </Button>
    </>
  );
}
