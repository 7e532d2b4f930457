import { useEffect, useState } from "react";

/** Seconds that pass while one looks. */
export function useClock(active: boolean): number {
  const [now, setNow] = useState(() => new Date().getTime());
  useEffect(() => {
    if (!active) return undefined;
    const timer = setInterval(() => setNow(new Date().getTime()), 1000);
    return () => clearInterval(timer);
  }, [active]);
  return now;
}
