/** Tabs that wizards share: **Basics** (where it lies and what it is called) and **Tags**. */

import { lazy, type ReactNode } from "react";
import { tagMap, type Tag } from "../rules";
import { tagsText } from "../tagsText";
import { t } from "../texts";
import { TextField } from "./TextField";
import { ScopeFields, type Scope } from "./ScopeFields";
import type { WizardTab } from "./Wizard";

const loadTags = async () => ({ default: (await import("./TagsField")).TagsField });
const TagsField = lazy(loadTags);

/** Values of the first tab. */
export interface Basics extends Scope {
  name: string;
}

/** As much of a form as a tab needs. */
interface Part<P> {
  values: P;
  set: (change: Partial<P>) => void;
}

interface BasicsProps<V extends Basics> {
  form: Part<Basics>;
  /** Label of the name. */
  name?: string;
  /** Why the name is good. */
  good?: string | undefined;
  regionHint?: string;
  /** For the wizard of a group itself. */
  withoutGroup?: boolean;
  /** What is particular: its fields, how they look and what the review says of them. */
  more?: {
    fields: (keyof V)[];
    render: (fault: (field: keyof V) => string | undefined) => ReactNode;
    review: [string, ReactNode][];
  };
}

export function basicsTab<V extends Basics>({ form, name = t.columns.name, good, regionHint, withoutGroup = false, more }: BasicsProps<V>): WizardTab<V> {
  const { values, set } = form;
  const group: [string, ReactNode] = [t.scope.group, values.newGroup ? t.scope.newGroup(values.group) : values.group];
  return {
    id: "basics",
    label: t.wizard.basics,
    fields: ["subscription", ...(withoutGroup ? [] : (["group"] as const)), "location", "name", ...(more?.fields ?? [])],
    render: (fault) => (
      <>
        <ScopeFields value={values} onChange={set} fault={fault} withoutGroup={withoutGroup} {...(regionHint ? { regionHint } : {})} />
        <TextField label={name} required value={values.name} fault={fault("name")} good={good} onChange={(text) => set({ name: text })} />
        {more?.render(fault)}
      </>
    ),
    review: [[t.scope.subscription, values.subscription], ...(withoutGroup ? [] : [group]), [t.scope.region, values.location], [name, values.name], ...(more?.review ?? [])],
  };
}

export function tagsTab<V extends { tags: Tag[] }>({ values, set }: Part<{ tags: Tag[] }>): WizardTab<V> {
  return {
    id: "tags",
    label: t.blades.tags,
    fields: ["tags"],
    ahead: loadTags,
    render: () => (
      <>
        <p>{t.tags.hint}</p>
        <TagsField value={values.tags} onChange={(tags) => set({ tags })} />
      </>
    ),
    review: [[t.blades.tags, tagsText(tagMap(values.tags)) || t.common.none]],
  };
}
