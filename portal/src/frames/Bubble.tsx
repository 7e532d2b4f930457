import type { ReactNode } from "react";
import { later } from "./later";

export interface BubbleProps {
  open: boolean;
  /** What it is beside; a click on that is its own business. */
  target: HTMLElement | null;
  label: string;
  onClose: () => void;
  children: ReactNode;
  withArrow?: boolean;
  className?: string;
}

/** A small surface beside what opens it: holds the focus, and is closed by Esc or a click elsewhere. Whoever closes it takes the focus back. */
export const Bubble = later<BubbleProps>(() => import("./BubbleSurface"));
