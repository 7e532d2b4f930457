import { useEffect, useRef, useState } from "react";
import { announce } from "../shell/announce";
import { t } from "../texts";
import type { Outcome } from "./exportRows";

/** Whole lists are read for an export: how that stands, and what was left out of the last one. */
export function useExport(begin: (signal: AbortSignal) => Promise<Outcome>) {
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<unknown>(undefined);
  const [told, setTold] = useState<string | undefined>(undefined);
  const end = useRef<AbortController | undefined>(undefined);
  // Whoever leaves the list does not want it any more.
  useEffect(() => () => end.current?.abort(), []);
  const run = async () => {
    const { signal } = (end.current = new AbortController());
    setBusy(true);
    setFault(undefined);
    setTold(undefined);
    try {
      const { count, more } = await begin(signal);
      announce(t.list.exported(count));
      setTold(more ? t.list.exportCut(count) : undefined);
    } catch (thrown) {
      if (!signal.aborted) setFault(thrown);
    } finally {
      setBusy(false);
    }
  };
  return { busy, fault, told, run: () => void run() };
}
