import { makeStyles, tokens } from "@fluentui/react-components";
import type { ReactNode } from "react";

const useStyles = makeStyles({
  box: {
    display: "flex",
    flexDirection: "column",
    gap: "12px",
    padding: "12px",
    borderRadius: tokens.borderRadiusMedium,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    backgroundColor: tokens.colorNeutralBackground1,
    boxShadow: tokens.shadow4,
  },
});

/** What belongs together, in a frame; with a name it is a group for those who hear the page. */
export function Box({ name, children }: { name?: string; children: ReactNode }) {
  const styles = useStyles();
  return (
    <div className={styles.box} {...(name === undefined ? {} : { "role": "group", "aria-label": name })}>
      {children}
    </div>
  );
}
