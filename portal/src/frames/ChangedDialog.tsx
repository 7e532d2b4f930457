import { Suspense, type ReactNode } from "react";
import { soon } from "./later";

/** A field that two people see differently. */
export interface Difference {
  label: string;
  theirs: string;
  mine: string;
}

export interface ChangedProps {
  title: string;
  differences: Difference[];
  /** What is said before they are known. */
  before?: ReactNode;
  onReload: () => void;
  /** Undefined while it is not known what would be written over. */
  onOverwrite: (() => void) | undefined;
  onCancel: () => void;
}

const Box = soon(() => import("./ChangedBox"));

/** What somebody else changed beside what one would write oneself: field, theirs, yours, and what to do. */
export function ChangedDialog(props: ChangedProps) {
  return (
    <Suspense fallback={null}>
      <Box {...props} />
    </Suspense>
  );
}
