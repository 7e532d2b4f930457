import { Button, Text } from "@fluentui/react-components";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { armPath, type Resource } from "../../api/arm";
import { send } from "../../api/http";
import type { CertificateFile } from "../../certificateFile";
import { CertificateField } from "../../frames/CertificateField";
import { Essentials } from "../../frames/Essentials";
import { Failure } from "../../frames/Failure";
import { Pane } from "../../frames/Pane";
import { t } from "../../texts";

/** Proves that a CA's key is one's own: a code, and a certificate that the CA signed over it. */
export interface VerifyProps {
  open: boolean;
  certificate: Resource | undefined;
  onClose: () => void;
}

export default function VerifyPane({ open, certificate, onClose }: VerifyProps) {
  return (
    <Pane open={open} title={`${t.caCertificates.verify}: ${certificate?.name ?? ""}`} onClose={onClose}>
      {certificate && <Proof key={certificate.id} certificate={certificate} onClose={onClose} />}
    </Pane>
  );
}

function Proof({ certificate, onClose }: { certificate: Resource; onClose: () => void }) {
  const client = useQueryClient();
  const [file, setFile] = useState<CertificateFile | undefined>(undefined);
  const call = (word: string, etag: string | undefined, body?: unknown) =>
    send<Resource>({ method: "POST", path: armPath(`${certificate.id}/${word}`), audience: "arm", body, headers: { "If-Match": `"${etag ?? "*"}"` } });
  const code = useMutation({ mutationFn: async () => (await call("generateVerificationCode", certificate.etag)).body });
  const verify = useMutation({
    mutationFn: (proof: string) => call("verify", code.data?.etag, { certificate: proof }),
    onSuccess: async () => {
      await client.invalidateQueries();
      onClose();
    },
  });
  return (
    <>
      {code.error && <Failure fault={code.error} />}
      {!code.data && (
        <Button appearance="primary" disabledFocusable={code.isPending} onClick={() => code.mutate()}>
          {t.caCertificates.code}
        </Button>
      )}
      {code.data && (
        <>
          <Text block>{t.caCertificates.codeText}</Text>
          <Essentials facts={[{ label: t.caCertificates.codeLabel, value: String(code.data.properties?.["verificationCode"] ?? "") }]} />
          <CertificateField label={t.caCertificates.verifyFile} required ca={false} value={file} onChange={setFile} />
          {verify.error && <Failure fault={verify.error} />}
          <Button appearance="primary" disabledFocusable={!file || verify.isPending} onClick={() => file && verify.mutate(file.base64)}>
            {t.caCertificates.verify}
          </Button>
        </>
      )}
    </>
  );
}
