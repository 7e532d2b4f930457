/** Keyboard shortcuts, Azure's set: G, then a key. Not while somebody types. */

import { useEffect } from "react";

/** Milliseconds within which the second key follows the G. */
const SECOND_MS = 1500;

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** Calls the function of the key that follows a G. */
export function useShortcuts(keys: Record<string, () => void>): void {
  useEffect(() => {
    let since = 0;
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
      if (event.key.toLowerCase() === "g") {
        since = event.timeStamp;
        return;
      }
      const act = since > 0 && event.timeStamp - since < SECOND_MS ? keys[event.key.toLowerCase()] : undefined;
      since = 0;
      if (!act) return;
      event.preventDefault();
      act();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [keys]);
}
