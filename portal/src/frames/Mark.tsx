import { Badge, makeStyles } from "@fluentui/react-components";
import type { ReactNode } from "react";

// A badge of Fluent has one line: names of a plant take more.
const useStyles = makeStyles({ mark: { height: "auto", whiteSpace: "normal", overflowWrap: "anywhere", alignSelf: "flex-start", marginRight: "4px" } });

/** Something that wants to be looked at, or that failed. */
export function Mark({ failed = false, why, children }: { failed?: boolean; why?: string | undefined; children: ReactNode }) {
  return (
    <Badge className={useStyles().mark} color={failed ? "danger" : "warning"} shape="rounded" {...(why ? { title: why } : {})}>
      {children}
    </Badge>
  );
}
