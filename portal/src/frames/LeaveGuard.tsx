import { useRef } from "react";
import { useBlocker } from "react-router";
import { t } from "../texts";
import { Confirm } from "./Confirm";

/** A place in the portal, as far as a guard looks at it. */
export interface Place {
  pathname: string;
  search: string;
}

const otherPage = (from: Place, to: Place): boolean => from.pathname !== to.pathname;

/** Asks before values are left behind.
 * @param leaves whether a step leads away from them; to another page unless given */
export function LeaveGuard({ dirty, onLeave, leaves = otherPage }: { dirty: () => boolean; onLeave: () => void; leaves?: (from: Place, to: Place) => boolean }) {
  const blocker = useBlocker(({ currentLocation, nextLocation }) => dirty() && leaves(currentLocation, nextLocation));
  const blocked = blocker.state === "blocked";
  const left = useRef(false);
  return (
    <Confirm
      open={blocked}
      title={t.wizard.leaveTitle}
      action={t.wizard.leave}
      cancel={t.wizard.stay}
      onConfirm={() => {
        left.current = true;
        onLeave();
        blocker.proceed?.();
      }}
      onClose={() => {
        if (!left.current) blocker.reset?.();
        left.current = false;
      }}
    >
      {t.wizard.leaveText}
    </Confirm>
  );
}
