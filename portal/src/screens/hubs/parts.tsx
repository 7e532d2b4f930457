/** Parts of the wizard of a hub; some Azure has and this server does not need: they are there, and say so. */

import { Button, Checkbox, Text } from "@fluentui/react-components";
import { useState } from "react";
import { ChoiceField } from "../../frames/Fields";
import { soon } from "../../frames/later";
import { Pane } from "../../frames/Pane";
import { t } from "../../texts";

const Comparison = soon(() => import("./Comparison"));

/** A choice with a button beside it that compares what can be chosen. */
export function ComparedField(props: { label: string; value: string; choices: { value: string; label: string }[]; onChange: (value: string) => void; compare: string; title: string; rows: readonly (readonly [string, string])[] }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <ChoiceField
        label={props.label}
        required
        value={props.value}
        choices={props.choices}
        onChange={props.onChange}
        beside={
          <Button appearance="transparent" size="small" onClick={() => setOpen(true)}>
            {props.compare}
          </Button>
        }
      />
      <Pane open={open} title={props.title} onClose={() => setOpen(false)}>
        <Comparison title={props.title} rows={props.rows} />
        <p>{t.hubs.compareNote}</p>
      </Pane>
    </>
  );
}

/** **Daily message limit** with **See all options**. */
export function LimitField() {
  return (
    <ComparedField
      label={t.hubs.limit}
      value="none"
      choices={[{ value: "none", label: t.hubs.noLimit }]}
      onChange={() => undefined}
      compare={t.hubs.allLimits}
      title={t.hubs.limit}
      rows={Object.values(t.hubs.tiers).map((tier) => [tier, t.hubs.noLimit])}
    />
  );
}

/** The tab **Add-ons**. */
export function AddOns() {
  return (
    <>
      {t.hubs.addonList.map((label) => (
        <div key={label}>
          <Checkbox label={`${label}. ${t.hubs.addonOff}`} disabled checked={false} />
        </div>
      ))}
      <Text block>{t.hubs.addonsText}</Text>
    </>
  );
}
