/** A field of one line, and what every field of a form has. */

import { Field, Input, makeStyles } from "@fluentui/react-components";
import type { ReactNode } from "react";
import { cutText } from "../wellFormed";

export const useFieldStyles = makeStyles({
  field: { maxWidth: "640px", marginBottom: "12px" },
  fill: { width: "100%" },
});

export interface FieldProps {
  label: string;
  required?: boolean;
  hint?: ReactNode;
  /** What is wrong with the value. */
  fault?: string | undefined;
  /** Why it is as it should be, such as "Name is available." */
  good?: string | undefined;
  warning?: string | undefined;
}

export function stateOf(props: FieldProps): { validationState?: "error" | "success" | "warning"; validationMessage?: string } {
  if (props.fault) return { validationState: "error", validationMessage: props.fault };
  if (props.warning) return { validationState: "warning", validationMessage: props.warning };
  if (props.good) return { validationState: "success", validationMessage: props.good };
  return {};
}

/** Longest text that a field takes, characters: what is longer was pasted by mistake, and is said so by its rule. */
export const LONGEST = 4000;

export function TextField(props: FieldProps & { value: string; onChange: (value: string) => void; type?: "text" | "password" | "number"; placeholder?: string; disabled?: boolean }) {
  const styles = useFieldStyles();
  return (
    <Field className={styles.field} label={props.label} required={props.required ?? false} hint={props.hint ? { children: props.hint } : null} {...stateOf(props)}>
      <Input
        value={props.value}
        type={props.type ?? "text"}
        disabled={props.disabled ?? false}
        placeholder={props.placeholder ?? ""}
        autoComplete="off"
        spellCheck={false}
        onChange={(_, data) => props.onChange(cutText(data.value, LONGEST))}
      />
    </Field>
  );
}
