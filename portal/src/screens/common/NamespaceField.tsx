/** A namespace of the chosen region, or a new one, made in a pane. */

import { Button, Text } from "@fluentui/react-components";
import { useQuery } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { queryAll, quote } from "../../api/graphQuery";
import { parseId } from "../../api/resourceId";
import { useExists } from "../../frames/checks";
import { ChoiceField, type Choice } from "../../frames/Fields";
import { graphFinder } from "../../frames/resourceFinders";
import { soon } from "../../frames/later";
import { Pane } from "../../frames/Pane";
import { NAMESPACE } from "../../resources";
import { deployments, useDeployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import type { Row } from "./columns";

const CreateWizard = soon(() => import("../namespaces/CreateWizard"));

const namespacesIn = (subscription: string): string => `resources | where type =~ ${quote(NAMESPACE)} | where subscriptionId =~ ${quote(subscription)}`;

export function useNamespaces(subscription: string) {
  return useQuery({
    queryKey: ["namespaces-of", subscription],
    queryFn: ({ signal }) => queryAll<Row>(`${namespacesIn(subscription)} | order by name asc`, signal),
    enabled: subscription !== "",
  });
}

export function NamespaceField(props: {
  label: string;
  required: boolean;
  value: string;
  subscription: string;
  /** Where it must lie. */
  location: string;
  /** Choice that stands for no namespace. */
  none?: string;
  hint?: string;
  fault: string | undefined;
  warning?: string | undefined;
  disabled?: boolean;
  onChange: (id: string, location: string | undefined) => void;
}) {
  const [creating, setCreating] = useState(false);
  const [made, setMade] = useState<{ deployment: string; id: string } | undefined>(undefined);
  const found = useNamespaces(props.subscription);
  const running = useDeployments().find((each) => each.id === made?.deployment && !each.ended);
  const rows = found.data?.rows ?? [];
  const choiceOf = (row: Row): Choice => ({ value: row.id, label: `${row.name} (${row.resourceGroup})`, off: props.location && row.location !== props.location ? t.hubs.otherRegion(row.location) : undefined });
  // Regions of namespaces that were found and not read.
  const far = useRef(new Map<string, string>());
  const finder = {
    ...graphFinder<Row>(namespacesIn(props.subscription), (row) => {
      far.current.set(row.id, row.location);
      return choiceOf(row);
    }),
    key: ["namespaces-in", props.subscription, props.location],
  };
  const known = rows.map(choiceOf);
  const extra: Choice[] = props.value && !known.some((each) => each.value.toLowerCase() === props.value.toLowerCase()) ? [{ value: props.value, label: t.scope.newGroup(parseId(props.value)?.name ?? props.value) }] : [];
  const none: Choice[] = props.none ? [{ value: "", label: props.none }] : [];
  const credential = useExists(props.value !== "" && !running ? `${props.value}/credentials/default` : undefined);
  const all = [...none, ...extra, ...known];
  return (
    <>
      <ChoiceField
        label={props.label}
        required={props.required}
        value={all.find((each) => each.value.toLowerCase() === props.value.toLowerCase())?.value}
        choices={all}
        of={found}
        finder={finder}
        hint={props.hint}
        fault={props.fault}
        disabled={props.disabled ?? false}
        warning={props.warning ?? (props.value !== "" && credential.data === false ? t.hubs.noCredential : undefined)}
        onChange={(id) => props.onChange(id, rows.find((row) => row.id === id)?.location ?? far.current.get(id))}
        beside={
          <Button appearance="transparent" size="small" disabled={props.disabled ?? false} onClick={() => setCreating(true)}>
            {t.hubs.createNew}
          </Button>
        }
      />
      {running && <Text block role="status">{t.deployment.running(running.title)}</Text>}
      <Pane open={creating} wide title={t.namespaces.createTitle} onClose={() => setCreating(false)}>
        <CreateWizard
          inPane={{
            onCancel: () => setCreating(false),
            onStarted: (deployment, id) => {
              setMade({ deployment, id });
              setCreating(false);
              const body = deployments.get(deployment)?.steps.find((step) => step.path.toLowerCase().includes("/namespaces/"))?.body as { location?: string } | undefined;
              props.onChange(id, body?.location);
            },
          }}
        />
      </Pane>
    </>
  );
}
