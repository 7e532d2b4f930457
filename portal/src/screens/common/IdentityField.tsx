/** The user-assigned identity by which a hub or a provisioning service acts on a namespace: chosen, made in place, and given its roles. */

import { Button, Text } from "@fluentui/react-components";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { armPath } from "../../api/arm";
import { query, queryAll, quote } from "../../api/graphQuery";
import { parseId } from "../../api/resourceId";
import { API } from "../../api/versions";
import { useRested } from "../../frames/checks";
import { Failure } from "../../frames/Failure";
import { ChoiceField } from "../../frames/Fields";
import { graphFinder } from "../../frames/resourceFinders";
import { soon } from "../../frames/later";
import { useResource } from "../../frames/load";
import { Pane } from "../../frames/Pane";
import { useMay } from "../../frames/rights";
import { IDENTITY } from "../../resources";
import type { StepPlan } from "../../shell/deployments";
import { deployments, useDeployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { givenAt, rolesAt, type Role } from "../iam/access";
import type { Row } from "./columns";

const IdentityWizard = soon(() => import("../identities/IdentityWizard"));

/** Roles with which a hub's or service's identity works on a namespace (seed 002). */
export const NAMESPACE_ROLES = ["Azure Device Registry Onboarding", "Azure Device Registry Contributor"];

const ASSIGN = "Microsoft.Authorization/roleAssignments/write";

/** The step that gives `principal` the role with this guid at `scope`. */
export function roleStep(title: string, scope: string, guid: string, principal: string, type: string, name: string = crypto.randomUUID()): StepPlan {
  const subscription = parseId(scope)?.subscription ?? "";
  return {
    title,
    method: "PUT",
    path: armPath(`${scope}/providers/Microsoft.Authorization/roleAssignments/${name}`, API.authorization),
    body: { properties: { roleDefinitionId: `/subscriptions/${subscription}/providers/Microsoft.Authorization/roleDefinitions/${guid}`, principalId: principal, principalType: type } },
    fine: ["RoleAssignmentExists"],
  };
}

/** The roles that `names` are, of which `principal` has none at `scope`. */
async function lacking(names: string[], scope: string, principal: string, signal: AbortSignal): Promise<Role[]> {
  const [given, roles] = await Promise.all([givenAt(scope, principal, signal), rolesAt(scope, signal)]);
  const missing = names.filter((name) => !given.rows.some((each) => each.role?.properties.roleName === name));
  return roles.rows.filter((role) => missing.includes(role.properties.roleName));
}

const identitiesIn = (subscription: string): string => `resources | where type =~ ${quote(IDENTITY)} | where subscriptionId =~ ${quote(subscription)}`;

const choiceOf = (row: Row) => ({ value: row.id, label: `${row.name} (${row.resourceGroup})` });

/** Those that were not read, by a part of their names. */
export const identityFinder = (subscription: string) => graphFinder<Row>(identitiesIn(subscription), choiceOf);

/** User-assigned identities of a subscription. */
export const useUserIdentities = (subscription: string) =>
  useQuery({
    queryKey: ["user-identities", subscription],
    queryFn: ({ signal }) => queryAll<Row>(`${identitiesIn(subscription)} | order by name asc`, signal),
    enabled: subscription !== "",
  });

/** Those that were not read and whose names hold what is typed. */
export function useFurtherIdentities(subscription: string, text: string) {
  const rested = useRested(text);
  return useQuery({
    queryKey: ["further-identities", subscription, rested],
    queryFn: async ({ signal }) => (await query<Row>(`${identitiesIn(subscription)} | where name contains ${quote(rested)} | order by name asc`, { top: FURTHER, signal })).rows,
    enabled: text !== "" && rested !== "",
  });
}

/** Rows that are asked for at once. */
const FURTHER = 100;

export function IdentityField(props: {
  label: string;
  required: boolean;
  value: string;
  subscription: string;
  /** The namespace on which it needs roles. */
  namespace: string | undefined;
  fault: string | undefined;
  onChange: (id: string) => void;
}) {
  const [creating, setCreating] = useState(false);
  const [made, setMade] = useState<{ deployment: string; id: string } | undefined>(undefined);
  const found = useUserIdentities(props.subscription);
  const deployment = useDeployments().find((each) => each.id === made?.deployment);
  const known = (found.data?.rows ?? []).map(choiceOf);
  const extra = props.value && !known.some((each) => each.value.toLowerCase() === props.value.toLowerCase()) ? [{ value: props.value, label: parseId(props.value)?.name ?? props.value }] : [];
  const ready = props.value !== "" && (made?.id !== props.value || deployment?.ended !== undefined);
  return (
    <>
      <ChoiceField
        label={props.label}
        required={props.required}
        value={[...known, ...extra].find((each) => each.value.toLowerCase() === props.value.toLowerCase())?.value}
        choices={[...extra, ...known]}
        of={found}
        finder={identityFinder(props.subscription)}
        fault={props.fault}
        onChange={props.onChange}
        beside={
          <Button appearance="transparent" size="small" onClick={() => setCreating(true)}>
            {t.hubs.createNew}
          </Button>
        }
      />
      {ready && props.namespace && <Roles identity={props.value} namespace={props.namespace} />}
      <Pane open={creating} wide title={t.identities.createTitle} onClose={() => setCreating(false)}>
        <IdentityWizard
          inPane={{
            onCancel: () => setCreating(false),
            onStarted: (started, id) => {
              setMade({ deployment: started, id });
              setCreating(false);
              props.onChange(id);
            },
          }}
        />
      </Pane>
    </>
  );
}

/** Says which roles the identity lacks on the namespace, and gives them. */
function Roles({ identity, namespace }: { identity: string; namespace: string }) {
  const may = useMay({ action: ASSIGN, scope: namespace });
  const document = useResource(identity);
  const principal = document.data?.properties?.["principalId"];
  const missing = useQuery({
    queryKey: ["lacking", namespace.toLowerCase(), principal],
    queryFn: ({ signal }) => lacking(NAMESPACE_ROLES, namespace, String(principal), signal),
    enabled: typeof principal === "string",
  });
  const fault = document.error ?? missing.error;
  // Without a word here the identity would pass for one that has its roles.
  if (fault) return <Failure fault={fault} retry={() => void (document.error ? document.refetch() : missing.refetch())} />;
  const roles = missing.data ?? [];
  if (roles.length === 0) return null;
  const name = parseId(identity)?.name ?? identity;
  const steps = roles.map((role) => roleStep(t.hubs.assignStep(role.properties.roleName, name), namespace, role.name, String(principal), "ServicePrincipal"));
  return (
    <Text block role="status">
      {t.hubs.identityLacks(roles.map((role) => role.properties.roleName))}{" "}
      {may ? (
        <Button size="small" onClick={() => deployments.start({ title: t.hubs.assignStep(roles.map((role) => role.properties.roleName).join(", "), name), steps, independent: true })}>
          {t.hubs.assignNow}
        </Button>
      ) : (
        t.hubs.mayNotAssign(namespace)
      )}
    </Text>
  );
}
