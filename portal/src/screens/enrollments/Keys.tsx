/** The keys of an enrollment: read when somebody asks for them, and forgotten after a minute. */

import { useMutation } from "@tanstack/react-query";
import { useEffect } from "react";
import { asFault } from "../../api/fault";
import { readAttestation, type Kind } from "../../api/provisioningData";
import { CommandBar } from "../../frames/CommandBar";
import { Essentials } from "../../frames/Essentials";
import { Failure } from "../../frames/Failure";
import { t } from "../../texts";

/** Milliseconds for which keys are shown. */
const SHOWN_MS = 60_000;

export default function Keys({ host, kind, name, scope }: { host: string; kind: Kind; name: string; scope: string }) {
  const shown = useMutation({ mutationFn: () => readAttestation(host, kind, name), gcTime: 0 });
  const { reset } = shown;
  useEffect(() => {
    if (!shown.data) return undefined;
    const timer = setTimeout(reset, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [shown.data, reset]);
  const keys = shown.data?.symmetricKey;
  return (
    <>
      <CommandBar
        label={t.enrollments.keys}
        commands={[
          keys
            ? { id: "keys", label: t.keys.hide, onClick: reset }
            : { id: "keys", label: t.enrollments.showKeys, needs: { action: "Microsoft.Devices/provisioningServices/attestationmechanism/details/action", scope, data: true }, onClick: () => shown.mutate() },
        ]}
      />
      {shown.error && <Failure fault={asFault(shown.error)} />}
      {keys && (
        <Essentials
          facts={[
            { label: t.enrollments.primaryKey, value: keys.primaryKey },
            { label: t.enrollments.secondaryKey, value: keys.secondaryKey },
          ]}
        />
      )}
    </>
  );
}
