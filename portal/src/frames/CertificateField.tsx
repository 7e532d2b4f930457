import { Field, makeStyles, Text } from "@fluentui/react-components";
import { useId, useState } from "react";
import { certificateFault, CERTIFICATE_FILE_BYTES, PRIVATE_KEY_TEXT, readCertificate, type CertificateFile } from "../certificateFile";
import { t } from "../texts";

const useStyles = makeStyles({ field: { maxWidth: "640px", marginBottom: "12px" }, about: { display: "block", overflowWrap: "anywhere" } });

/** Largest file that is looked into at all, bytes: what is longer is no certificate, and a page that reads it would stand still. */
const LOOKED_INTO = 64 * 1024;

/** A certificate out of a file. It is read here; a private key never leaves the page, and neither does what cannot be used. */
export function CertificateField(props: {
  label: string;
  required?: boolean;
  /** Whether it must be able to sign others. */
  ca: boolean;
  value: CertificateFile | undefined;
  /** What the form or the server says of it. */
  fault?: string | undefined;
  hint?: string;
  onChange: (file: CertificateFile | undefined) => void;
}) {
  const styles = useStyles();
  const [own, setOwn] = useState<string | undefined>(undefined);
  const input = useId();
  const take = async (file: File | undefined) => {
    setOwn(undefined);
    props.onChange(undefined);
    if (!file) return;
    try {
      if (file.size > LOOKED_INTO) throw new Error(`The file has ${file.size} bytes; at most ${CERTIFICATE_FILE_BYTES} are accepted.`);
      const found = readCertificate(new Uint8Array(await file.arrayBuffer()));
      const wrong = certificateFault(found, props.ca, new Date());
      if (wrong) throw new Error(wrong);
      props.onChange(found);
    } catch (thrown) {
      setOwn(thrown instanceof Error ? thrown.message : PRIVATE_KEY_TEXT);
    }
  };
  const fault = own ?? props.fault;
  const { value } = props;
  return (
    <Field
      className={styles.field}
      label={{ children: props.label, htmlFor: input }}
      required={props.required ?? false}
      hint={props.hint ? { children: props.hint } : null}
      {...(fault ? { validationState: "error" as const, validationMessage: fault } : {})}
    >
      <div>
        <input id={input} type="file" accept=".pem,.cer,.crt,.der" onChange={(event) => void take(event.target.files?.[0])} />
        {value && (
          <Text size={200} className={styles.about}>
            {[value.subject, t.caCertificates.issuedBy(value.issuer), t.caCertificates.validUntil(value.notAfter.toLocaleDateString())].join(", ")}
          </Text>
        )}
      </div>
    </Field>
  );
}
