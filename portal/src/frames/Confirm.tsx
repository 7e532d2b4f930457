import type { ReactNode } from "react";
import { useFocusBack } from "./focusBack";
import { later } from "./later";

export interface ConfirmProps {
  open: boolean;
  title: string;
  children: ReactNode;
  /** Label of the button that does it. */
  action: string;
  /** Label of the button that does not; "Cancel" unless given. */
  cancel?: string;
  /** The name that must be typed; without it a click is enough. */
  name?: string | undefined;
  /** Why it cannot be done: the button is left out. */
  blocked?: boolean;
  onConfirm: () => void;
  onClose: () => void;
}

const Dialog = later<ConfirmProps>(() => import("./ConfirmDialog"));

/** Asks before something that cannot be undone; with `name` the name is typed first. */
export function Confirm(props: ConfirmProps) {
  useFocusBack(props.open);
  return <Dialog {...props} />;
}
