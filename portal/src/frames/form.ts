/** The values of a form, kept in this window so that a reload or a restarted server loses nothing. No secrets go into one. */

import { useCallback, useMemo, useState } from "react";

const PREFIX = "ferrohub.form.";

export interface Form<V extends object> {
  id: string;
  values: V;
  /** Are they other than at first? */
  dirty: boolean;
  set: (change: Partial<V>) => void;
  /** Was `field` changed in this window since the form was opened? */
  touched: (field: keyof V) => boolean;
  /** From now on every field shows what is wrong with it. */
  touchAll: () => void;
  /** Back to the first values. */
  clear: () => void;
}

function kept<V extends object>(id: string, first: V): V {
  try {
    const found = JSON.parse(sessionStorage.getItem(PREFIX + id) ?? "null") as Partial<V> | null;
    return found && typeof found === "object" ? { ...first, ...found } : first;
  } catch {
    return first;
  }
}

/** Takes the values of a form away: what it was for is done. */
export function forgetForm(id: string): void {
  sessionStorage.removeItem(PREFIX + id);
}

/** Are values of any form kept in this window? */
export function anyForm(): boolean {
  return Object.keys(sessionStorage).some((key) => key.startsWith(PREFIX));
}

/** Takes the values of all forms away: one of them may be what a page cannot show. */
export function forgetForms(): void {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
}

export function useForm<V extends object>(id: string, first: V): Form<V> {
  const [values, setValues] = useState(() => kept(id, first));
  const [touched, setTouched] = useState<ReadonlySet<keyof V> | "all">(new Set<keyof V>());
  // Of another thing the form is another one: nobody may save the values of the one before into it.
  const [of, setOf] = useState(id);
  if (of !== id) {
    setOf(id);
    setValues(kept(id, first));
    setTouched(new Set<keyof V>());
  }
  const set = useCallback(
    (change: Partial<V>) => {
      setValues((before) => {
        const after = { ...before, ...change };
        try {
          sessionStorage.setItem(PREFIX + id, JSON.stringify(after));
        } catch {
          // Full: the values live as long as the page.
        }
        return after;
      });
      setTouched((before) => (before === "all" ? before : new Set([...before, ...(Object.keys(change) as (keyof V)[])])));
    },
    [id],
  );
  const clear = () => {
    forgetForm(id);
    setValues(first);
    setTouched(new Set<keyof V>());
  };
  const dirty = useMemo(() => JSON.stringify(values) !== JSON.stringify(first), [values, first]);
  return {
    id,
    values,
    dirty,
    set,
    touched: (field) => touched === "all" || touched.has(field),
    touchAll: () => setTouched("all"),
    clear,
  };
}
