/** The first fields of every wizard: subscription, resource group (or a new one), region. */

import { Button } from "@fluentui/react-components";
import { useEffect, useMemo, useRef, useState } from "react";
import { armPath, type Resource } from "../api/arm";
import { quote } from "../api/graphQuery";
import { groupId } from "../api/resourceId";
import { API } from "../api/versions";
import { keepOwn, readOwn } from "../auth/kept";
import { groupName } from "../rules";
import type { StepPlan } from "../shell/deployments";
import { t } from "../texts";
import { ChoiceField } from "./ChoiceField";
import { graphFinder } from "./resourceFinders";
import { useGroups, useLocations, useSubscriptions } from "./load";
import { later } from "./later";
import type { NewGroupProps } from "./NewGroup";
import { SubscriptionField } from "./SubscriptionField";

export interface Scope {
  subscription: string;
  group: string;
  /** The group does not exist yet: it is made by the first step. */
  newGroup: boolean;
  location: string;
}

export const NO_SCOPE: Scope = { subscription: "", group: "", newGroup: false, location: "" };

const LAST_REGION = "ferrohub.last-region";

/** What is wrong with a scope, by field. */
export function scopeFaults(scope: Scope): { subscription?: string | undefined; group?: string | undefined; location?: string | undefined } {
  return {
    subscription: scope.subscription ? undefined : t.scope.chooseSubscription,
    group: scope.group ? groupName(scope.group) : t.scope.chooseGroup,
    location: scope.location ? undefined : t.scope.chooseRegion,
  };
}

/** The step that makes the group, where it is new. */
export function groupSteps(scope: Scope): StepPlan[] {
  if (!scope.newGroup) return [];
  const path = armPath(groupId(scope.subscription, scope.group), API.resources);
  return [{ title: t.scope.groupStep(scope.group), method: "PUT", path, body: { location: scope.location } }];
}

const NewGroup = later<NewGroupProps>(() => import("./NewGroup"));

export function ScopeFields(props: {
  value: Scope;
  onChange: (change: Partial<Scope>) => void;
  fault: (field: "subscription" | "group" | "location") => string | undefined;
  /** For the wizard of a group itself. */
  withoutGroup?: boolean;
  regionHint?: string;
}) {
  const { value, onChange } = props;
  const subscriptions = useSubscriptions();
  const locations = useLocations(value.subscription || undefined);
  // The first subscription is the one that most have; the region is the group's, or the one that was taken last.
  useEffect(() => {
    const first = subscriptions.data?.rows[0];
    if (!value.subscription && first) onChange({ subscription: first.subscriptionId });
  }, [subscriptions.data, value.subscription]);
  useEffect(() => {
    const last = readOwn(LAST_REGION);
    if (!value.location && last && locations.data?.rows.some((each) => each.name === last)) onChange({ location: last });
  }, [locations.data, value.location]);
  return (
    <>
      <SubscriptionField required value={value.subscription || undefined} fault={props.fault("subscription")} onChange={(subscription) => onChange({ subscription, group: "", newGroup: false })} />
      {!props.withoutGroup && <GroupField value={value} fault={props.fault("group")} onChange={onChange} />}
      <ChoiceField
        label={t.scope.region}
        required
        value={value.location || undefined}
        choices={(locations.data?.rows ?? []).map((each) => ({ value: each.name, label: each.displayName }))}
        of={locations}
        fault={props.fault("location")}
        hint={props.regionHint}
        onChange={(location) => {
          keepOwn(LAST_REGION, location);
          onChange({ location });
        }}
      />
    </>
  );
}

/** A group that is there, or one that is made together with what goes into it. */
function GroupField({ value, fault, onChange }: { value: Scope; fault: string | undefined; onChange: (change: Partial<Scope>) => void }) {
  const groups = useGroups(value.subscription || undefined);
  const [creating, setCreating] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  // Regions of groups that were found and not read.
  const far = useRef(new Map<string, string | undefined>());
  const finder = useMemo(
    () =>
      graphFinder<Resource>(`resourcecontainers | where type =~ 'microsoft.resources/subscriptions/resourcegroups' | where subscriptionId =~ ${quote(value.subscription)}`, (group) => {
        far.current.set(group.name, group.location);
        return { value: group.name, label: group.name };
      }),
    [value.subscription],
  );
  const known = (groups.data?.rows ?? []).map((group) => ({ value: group.name, label: group.name }));
  const choices = value.newGroup && value.group ? [{ value: value.group, label: t.scope.newGroup(value.group) }, ...known] : known;
  return (
    <>
      <ChoiceField
        label={t.scope.group}
        required
        value={value.group || undefined}
        choices={choices}
        of={groups}
        finder={finder}
        fault={fault}
        onChange={(group) => {
          const location = groups.data?.rows.find((each) => each.name === group)?.location ?? far.current.get(group);
          const fresh = value.newGroup && group === value.group;
          onChange({ group, newGroup: fresh, ...(location && !fresh ? { location } : {}) });
        }}
        beside={
          <Button ref={button} appearance="transparent" size="small" style={{ justifySelf: "start" }} aria-expanded={creating} aria-haspopup="dialog" onClick={() => setCreating(true)}>
            {t.scope.createNew}
          </Button>
        }
      />
      <NewGroup
        open={creating}
        target={button}
        subscription={value.subscription}
        taken={known.map((choice) => choice.value)}
        cut={groups.data?.more === true}
        onChosen={(group) => onChange({ group, newGroup: true })}
        onClose={() => setCreating(false)}
      />
    </>
  );
}
