/** The first fields of every wizard: subscription, resource group (or a new one), region. */

import { Button, Input, Field, Popover, PopoverSurface, PopoverTrigger } from "@fluentui/react-components";
import { useEffect, useState } from "react";
import { armPath } from "../api/arm";
import { groupId } from "../api/resourceId";
import { API } from "../api/versions";
import { keepOwn, readOwn } from "../auth/kept";
import { groupName } from "../rules";
import type { StepPlan } from "../shell/deployments";
import { t } from "../texts";
import { ChoiceField } from "./Fields";
import { useGroups, useLocations, useSubscriptions } from "./load";
import { cutText } from "../wellFormed";

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
  const groups = useGroups(value.subscription || undefined);
  const locations = useLocations(value.subscription || undefined);
  // The first subscription is the one that most have; the region is the group's, or the one that was taken last.
  useEffect(() => {
    const first = subscriptions.data?.[0];
    if (!value.subscription && first) onChange({ subscription: first.subscriptionId });
  }, [subscriptions.data, value.subscription]);
  useEffect(() => {
    const last = readOwn(LAST_REGION);
    if (!value.location && last && locations.data?.some((each) => each.name === last)) onChange({ location: last });
  }, [locations.data, value.location]);
  const known = (groups.data ?? []).map((group) => ({ value: group.name, label: group.name }));
  const choices = value.newGroup && value.group ? [{ value: value.group, label: t.scope.newGroup(value.group) }, ...known] : known;
  return (
    <>
      <ChoiceField
        label={t.scope.subscription}
        required
        value={value.subscription || undefined}
        choices={(subscriptions.data ?? []).map((each) => ({ value: each.subscriptionId, label: each.displayName }))}
        of={subscriptions}
        fault={props.fault("subscription")}
        onChange={(subscription) => onChange({ subscription, group: "", newGroup: false })}
      />
      {!props.withoutGroup && (
        <ChoiceField
          label={t.scope.group}
          required
          value={value.group || undefined}
          choices={choices}
          of={groups}
          fault={props.fault("group")}
          onChange={(group) => {
            const found = groups.data?.find((each) => each.name === group);
            onChange({ group, newGroup: !found, ...(found?.location ? { location: found.location } : {}) });
          }}
          beside={<NewGroup taken={known.map((choice) => choice.value)} onChosen={(group) => onChange({ group, newGroup: true })} />}
        />
      )}
      <ChoiceField
        label={t.scope.region}
        required
        value={value.location || undefined}
        choices={(locations.data ?? []).map((each) => ({ value: each.name, label: each.displayName }))}
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

/** "Create new": takes a name; the group is made together with what goes into it. */
function NewGroup({ taken, onChosen }: { taken: string[]; onChosen: (name: string) => void }) {
  const [open, setOpen] = useState(false);
  const [name, setName] = useState("");
  const exists = taken.some((each) => each.toLowerCase() === name.toLowerCase());
  const fault = name === "" ? undefined : exists ? t.scope.groupExists : groupName(name);
  const ready = name !== "" && !fault;
  const choose = () => {
    if (!ready) return;
    onChosen(name);
    setOpen(false);
    setName("");
  };
  return (
    <Popover open={open} onOpenChange={(_, data) => setOpen(data.open)} trapFocus>
      <PopoverTrigger disableButtonEnhancement>
        <Button appearance="transparent" size="small" style={{ justifySelf: "start" }}>
          {t.scope.createNew}
        </Button>
      </PopoverTrigger>
      <PopoverSurface aria-label={t.scope.createNewGroup}>
        <Field label={t.scope.groupName} required hint={t.scope.groupText} {...(fault ? { validationState: "error" as const, validationMessage: fault } : {})}>
          <Input
            value={name}
            autoComplete="off"
            onChange={(_, data) => setName(cutText(data.value, 500))}
            onKeyDown={(event) => {
              if (event.key === "Enter") choose();
            }}
          />
        </Field>
        <Button appearance="primary" size="small" disabledFocusable={!ready} onClick={choose} style={{ marginTop: "8px", marginRight: "8px" }}>
          {t.common.ok}
        </Button>
        <Button size="small" onClick={() => setOpen(false)}>
          {t.common.cancel}
        </Button>
      </PopoverSurface>
    </Popover>
  );
}
