/** A drop-down that is searched by typing, and asks the server for what was not read. */

import { Combobox, Field, Option } from "@fluentui/react-components";
import { useQuery, type UseQueryResult } from "@tanstack/react-query";
import { useMemo, useState, type ReactNode } from "react";
import { asFault } from "../api/fault";
import { t } from "../texts";
import { useRested } from "./checks";
import { Failure } from "./Failure";
import { fittingChoices, type Choice, type Finder } from "./finders";
import { stateOf, useFieldStyles, type FieldProps } from "./TextField";

/** How a reading stands, as far as a field tells it: that it stopped before its end, too. */
export type Reading = Pick<UseQueryResult<unknown>, "isLoading" | "error" | "refetch" | "data">;

/** Choices that are offered at once. */
const OFFERED = 200;

const isCut = (of: Reading | undefined): boolean => (of?.data as { more?: unknown } | undefined)?.more === true;

/** What the server finds by a text that rested, where the choices are not all that there are. */
function useFound(finder: Finder | undefined, text: string) {
  const rested = useRested(text);
  const enabled = finder !== undefined && rested !== "" && text !== "";
  const found = useQuery({ queryKey: ["found-choices", ...(finder?.key ?? []), rested], queryFn: async ({ signal }) => (await finder?.find(rested, signal)) ?? [], enabled, staleTime: 10_000 });
  return { choices: (enabled && found.data) || [], searching: finder !== undefined && text !== "" && (text !== rested || found.isFetching), fault: enabled ? found.error : null };
}

/** With `of`, the reading that the choices come from, it says so where there are none yet, or could not be read, or where the reading stopped:
 * `finder` leads to the others then. */
export function ChoiceField(
  props: FieldProps & {
    value: string | undefined;
    choices: Choice[];
    onChange: (value: string) => void;
    placeholder?: string;
    disabled?: boolean;
    beside?: ReactNode;
    of?: Reading;
    finder?: Finder;
  },
) {
  const styles = useFieldStyles();
  const cut = isCut(props.of);
  const [typed, setTyped] = useState<string | undefined>(undefined);
  const [picked, setPicked] = useState<Choice | undefined>(undefined);
  const found = useFound(cut ? props.finder : undefined, typed?.trim() ?? "");
  const far = picked?.value === props.value ? picked : cut && props.value ? { value: props.value, label: props.value } : undefined;
  const chosen = props.choices.find((choice) => choice.value === props.value) ?? far;
  const fitting = useMemo(() => fittingChoices(props.choices, found.choices, typed ?? ""), [props.choices, found.choices, typed]);
  const shown = fitting.slice(0, OFFERED);
  const rest = fitting.length > shown.length ? t.fields.further(fitting.length - shown.length) : undefined;
  const none = found.searching ? t.fields.asking : props.of?.isLoading ? t.common.loading : props.of?.error ? t.common.unknown : t.fields.none;
  const told = found.fault ? t.fields.notFound(asFault(found.fault).message) : (rest ?? (shown.length === 0 || found.searching ? none : undefined));
  const hint = [props.hint, cut && t.fields.cut(props.choices.length, props.finder?.exact === true)].filter(Boolean).join(" ");
  return (
    <Field className={styles.field} label={props.label} required={props.required ?? false} hint={hint ? { children: hint } : null} {...stateOf(props)}>
      <Combobox
        className={styles.fill}
        value={typed ?? chosen?.label ?? ""}
        selectedOptions={chosen ? [chosen.value] : []}
        placeholder={props.placeholder ?? t.fields.choose}
        disabled={props.disabled ?? false}
        onChange={(event) => setTyped(event.target.value)}
        onOptionSelect={(_, data) => {
          setTyped(undefined);
          if (data.optionValue === undefined) return;
          setPicked(fitting.find((choice) => choice.value === data.optionValue));
          props.onChange(data.optionValue);
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
        {told !== undefined && (
          <Option disabled value="" text="">
            {told}
          </Option>
        )}
      </Combobox>
      {props.beside && <span style={{ justifySelf: "start" }}>{props.beside}</span>}
      {props.of?.error != null && <Failure fault={props.of.error} retry={() => void props.of?.refetch()} />}
    </Field>
  );
}
