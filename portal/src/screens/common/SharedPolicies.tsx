/** Shared access policies of a hub or a provisioning service. Keys are read when somebody asks for them, and forgotten after a minute. */

import { makeStyles, Text } from "@fluentui/react-components";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { read, type Resource } from "../../api/arm";
import { putStep, sentOf } from "../../api/putBack";
import { isType } from "../../api/resourceId";
import { CommandBar } from "../../frames/CommandBar";
import { Confirm } from "../../frames/Confirm";
import { Essentials } from "../../frames/Essentials";
import { Failure } from "../../frames/Failure";
import type { BladeProps } from "../../frames/ResourcePage";
import { HUB } from "../../resources";
import type { Need } from "../../frames/rights";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { listKeys } from "./listKeys";
import { changedKeys, connectionString, type Change, type KeyPolicy } from "./sharedKeys";

/** Milliseconds for which keys are shown. */
const SHOWN_MS = 60_000;

const useStyles = makeStyles({ policy: { marginBottom: "16px" }, note: { display: "block", margin: "8px 0" } });

const CHANGES: Record<Change, string> = { primary: t.keys.regeneratePrimary, secondary: t.keys.regenerateSecondary, swap: t.keys.swap };

export default function SharedPolicies({ id, resource }: BladeProps) {
  const styles = useStyles();
  const shown = useMutation({ mutationFn: () => readKeys(id.id), gcTime: 0 });
  const { reset } = shown;
  // With the policies as they were read: the question may stand longer than the keys are shown.
  const [asked, setAsked] = useState<{ read: ReadKeys; policy: KeyPolicy; change: Change } | undefined>(undefined);
  const client = useQueryClient();
  useEffect(() => {
    if (!shown.data) return undefined;
    const timer = setTimeout(reset, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [shown.data, reset]);
  const host = useMemo(() => String(resource?.properties?.[isType(id.type, HUB) ? "hostName" : "serviceOperationsHostName"] ?? ""), [id.type, resource]);
  const listNeed = { action: `${id.type}/listkeys/action`, scope: id.id };
  const writeNeed = { action: `${id.type}/write`, scope: id.id };
  const changed = useMutation({
    mutationFn: async ({ read: { document, policies }, policy, change }: NonNullable<typeof asked>) => {
      const title = t.keys.plan(policy.keyName);
      const sent = sentOf(document);
      sent.properties["authorizationPolicies"] = changedKeys(policies, policy.keyName, change);
      await deployments.perform({ title, steps: [{ ...putStep(title, document, sent), secret: true }] });
    },
    onSettled: async () => {
      await client.invalidateQueries();
      reset();
    },
    gcTime: 0,
  });
  return (
    <>
      <CommandBar
        commands={[
          shown.data
            ? { id: "keys", label: t.keys.hide, onClick: reset }
            : { id: "keys", label: t.keys.show, needs: listNeed, off: shown.isPending ? t.common.loading : undefined, onClick: () => shown.mutate() },
        ]}
      />
      <Text className={styles.note}>{t.keys.note}</Text>
      {shown.error && <Failure fault={shown.error} retry={() => shown.mutate()} />}
      {changed.error && <Failure fault={changed.error} />}
      {shown.data?.policies.map((policy) => (
        <PolicyKeys key={policy.keyName} policy={policy} host={host} needs={writeNeed} busy={changed.isPending} onAsk={(change) => shown.data && setAsked({ read: shown.data, policy, change })} />
      ))}
      <Confirm
        open={asked !== undefined}
        title={asked ? `${CHANGES[asked.change]}: ${asked.policy.keyName}` : ""}
        action={t.common.yes}
        onConfirm={() => asked && changed.mutate(asked)}
        onClose={() => setAsked(undefined)}
      >
        {t.keys.regenerateText}
      </Confirm>
    </>
  );
}

interface PolicyProps {
  policy: KeyPolicy;
  host: string;
  needs: Need;
  busy: boolean;
  onAsk: (change: Change) => void;
}

/** A policy with its keys, and what can be done with them. */
function PolicyKeys({ policy, host, needs, busy, onAsk }: PolicyProps) {
  const styles = useStyles();
  return (
    <section className={styles.policy} aria-label={policy.keyName}>
      <Text as="h2" weight="semibold" size={400}>
        {policy.keyName}
      </Text>
      <Essentials
        facts={[
          { label: t.keys.rights, value: policy.rights },
          { label: t.keys.primary, value: policy.primaryKey },
          { label: t.keys.secondary, value: policy.secondaryKey },
          { label: t.keys.primaryString, value: connectionString(host, policy, "primaryKey") },
          { label: t.keys.secondaryString, value: connectionString(host, policy, "secondaryKey") },
        ]}
      />
      <CommandBar
        label={policy.keyName}
        commands={(["primary", "secondary", "swap"] as const).map((change) => ({ id: change, label: CHANGES[change], needs, off: busy ? t.common.loading : undefined, onClick: () => onAsk(change) }))}
      />
    </section>
  );
}

/** Keys, and the document that was read before them. */
interface ReadKeys {
  document: Resource;
  policies: KeyPolicy[];
}

/** The document first: keys that are made anew between the two readings, or later, make its ETag an old one, so that no write brings a
 * former key back. */
async function readKeys(id: string): Promise<ReadKeys> {
  const document = await read(id);
  return { document, policies: await listKeys(id) };
}
