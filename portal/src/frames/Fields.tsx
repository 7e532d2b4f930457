/** Fields of forms: a label, the rule's sentence while one types, and the server's own where it names the field. */

import {
  Button,
  Combobox,
  Field,
  Input,
  Option,
  Switch,
  Table,
  TableBody,
  TableCell,
  TableHeader,
  TableHeaderCell,
  TableRow,
} from "@fluentui/react-components";
import { DeleteRegular } from "@fluentui/react-icons";
import type { UseQueryResult } from "@tanstack/react-query";
import { useMemo, useState, type ReactNode } from "react";
import { tagFaults, type Tag } from "../rules";
import { t } from "../texts";
import { cutText } from "../wellFormed";
import { Failure } from "./Failure";
import { LONGEST, stateOf, useFieldStyles, type FieldProps } from "./TextField";

export { TextField } from "./TextField";

/** How a reading stands, as far as a field tells it. */
export type Reading = Pick<UseQueryResult<unknown>, "isLoading" | "error" | "refetch">;

export interface Choice {
  value: string;
  label: string;
  /** Why it cannot be chosen. */
  off?: string | undefined;
}

/** Choices that are offered at once. */
const OFFERED = 200;

/** A drop-down that is searched by typing. With `of`, the reading that the choices come from, it says so where there are none yet, or could
 * not be read. */
export function ChoiceField(
  props: FieldProps & { value: string | undefined; choices: Choice[]; onChange: (value: string) => void; placeholder?: string; disabled?: boolean; beside?: ReactNode; of?: Reading },
) {
  const styles = useFieldStyles();
  const chosen = props.choices.find((choice) => choice.value === props.value);
  const [typed, setTyped] = useState<string | undefined>(undefined);
  const fitting = useMemo(() => {
    const wanted = typed?.trim().toLowerCase() ?? "";
    return props.choices.filter((choice) => choice.label.toLowerCase().includes(wanted));
  }, [props.choices, typed]);
  const shown = fitting.slice(0, OFFERED);
  return (
    <Field className={styles.field} label={props.label} required={props.required ?? false} hint={props.hint ? { children: props.hint } : null} {...stateOf(props)}>
      <Combobox
        className={styles.fill}
        value={typed ?? chosen?.label ?? ""}
        selectedOptions={chosen ? [chosen.value] : []}
        placeholder={props.placeholder ?? t.fields.choose}
        disabled={props.disabled ?? false}
        onChange={(event) => setTyped(event.target.value)}
        onOptionSelect={(_, data) => {
          setTyped(undefined);
          if (data.optionValue !== undefined) props.onChange(data.optionValue);
        }}
        onOpenChange={(_, data) => {
          if (!data.open) setTyped(undefined);
        }}
      >
        {shown.map((choice) => (
          <Option key={choice.value} value={choice.value} text={choice.label} disabled={choice.off !== undefined}>
            {choice.off ? `${choice.label} (${choice.off})` : choice.label}
          </Option>
        ))}
        {fitting.length > shown.length && (
          <Option disabled value="" text="">
            {t.fields.further(fitting.length - shown.length)}
          </Option>
        )}
        {shown.length === 0 && (
          <Option disabled value="" text="">
            {props.of?.isLoading ? t.common.loading : props.of?.error ? t.common.unknown : t.fields.none}
          </Option>
        )}
      </Combobox>
      {props.beside}
      {props.of?.error != null && <Failure fault={props.of.error} retry={() => void props.of?.refetch()} />}
    </Field>
  );
}

export function SwitchField(props: FieldProps & { value: boolean; onChange: (value: boolean) => void; disabled?: boolean }) {
  const styles = useFieldStyles();
  return (
    <Field className={styles.field} hint={props.hint ? { children: props.hint } : null} {...stateOf(props)}>
      <Switch label={props.label} checked={props.value} disabled={props.disabled ?? false} onChange={(_, data) => props.onChange(data.checked)} />
    </Field>
  );
}

/** Rows of tags, with an empty one at the end. */
export function TagsField({ value, onChange }: { value: Tag[]; onChange: (value: Tag[]) => void }) {
  const faults = tagFaults(value);
  const rows = [...value, { name: "", value: "" }];
  const put = (at: number, tag: Tag) => onChange(rows.map((row, index) => (index === at ? tag : row)).filter((row, index) => index < value.length || row.name !== "" || row.value !== ""));
  return (
    <Table size="small" aria-label={t.tags.label} style={{ maxWidth: "820px" }}>
      <TableHeader>
        <TableRow>
          <TableHeaderCell>{t.tags.name}</TableHeaderCell>
          <TableHeaderCell>{t.tags.value}</TableHeaderCell>
          <TableHeaderCell style={{ width: "48px" }} aria-label={t.common.remove} />
        </TableRow>
      </TableHeader>
      <TableBody>
        {rows.map((row, at) => (
          <TableRow key={at}>
            <TableCell>
              <Field {...(faults.has(at) ? { validationState: "error" as const, validationMessage: faults.get(at) ?? "" } : {})}>
                <Input aria-label={t.tags.nameOf(at + 1)} value={row.name} onChange={(_, data) => put(at, { ...row, name: cutText(data.value, LONGEST) })} />
              </Field>
            </TableCell>
            <TableCell>
              <Input aria-label={t.tags.valueOf(at + 1)} value={row.value} style={{ width: "100%" }} onChange={(_, data) => put(at, { ...row, value: cutText(data.value, LONGEST) })} />
            </TableCell>
            <TableCell>
              {at < value.length && (
                <Button
                  appearance="subtle"
                  icon={<DeleteRegular />}
                  aria-label={t.tags.remove(row.name || String(at + 1))}
                  onClick={() => onChange(value.filter((_, index) => index !== at))}
                />
              )}
            </TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  );
}
