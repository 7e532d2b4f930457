import { useEffect, useRef } from "react";

/** Gives the focus back, when what was open closes, to what had it before. */
export function useFocusBack(open: boolean): void {
  const before = useRef<HTMLElement | null>(null);
  const was = useRef(false);
  if (open && !was.current && document.activeElement instanceof HTMLElement) before.current = document.activeElement;
  useEffect(() => {
    const closed = was.current && !open;
    was.current = open;
    if (!closed) return undefined;
    const back = before.current;
    // After the surface is gone: until then what is behind it, a page or another pane, cannot take the focus.
    const timer = setInterval(() => {
      const top = [...document.querySelectorAll("[aria-modal=true]")].at(-1);
      if (top && back?.isConnected && !top.contains(back)) return;
      clearInterval(timer);
      const lost = document.activeElement === null || document.activeElement === document.body;
      if (lost && back?.isConnected) back.focus();
    }, 50);
    return () => clearInterval(timer);
  }, [open]);
}
