import type { ReactNode } from "react";
import { useFocusBack } from "./focusBack";
import { later } from "./later";

export interface PaneProps {
  open: boolean;
  title: string;
  onClose: () => void;
  children: ReactNode;
  footer?: ReactNode;
  wide?: boolean;
}

const Drawer = later<PaneProps>(() => import("./PaneDrawer"));

/** A pane at the right edge: holds the focus, Esc closes it, the focus goes back to where it was. */
export function Pane(props: PaneProps) {
  useFocusBack(props.open);
  return <Drawer {...props} />;
}
