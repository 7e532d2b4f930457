/** Fields of forms: a label, the rule's sentence while one types, and the server's own where it names the field. */

import { Field, Switch } from "@fluentui/react-components";
import { stateOf, useFieldStyles, type FieldProps } from "./TextField";

export { ChoiceField, type Reading } from "./ChoiceField";
export type { Choice } from "./finders";
export { TextField } from "./TextField";

export function SwitchField(props: FieldProps & { value: boolean; onChange: (value: boolean) => void; disabled?: boolean }) {
  const styles = useFieldStyles();
  return (
    <Field className={styles.field} hint={props.hint ? { children: props.hint } : null} {...stateOf(props)}>
      <Switch label={props.label} checked={props.value} disabled={props.disabled ?? false} onChange={(_, data) => props.onChange(data.checked)} />
    </Field>
  );
}
