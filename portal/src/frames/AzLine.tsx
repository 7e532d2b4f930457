import { makeStyles, tokens } from "@fluentui/react-components";
import { CopyButton } from "./CopyButton";
import { t } from "../texts";

const useStyles = makeStyles({
  box: {
    display: "flex",
    alignItems: "flex-start",
    gap: "4px",
    padding: "8px",
    backgroundColor: tokens.colorNeutralBackground3,
    borderRadius: tokens.borderRadiusMedium,
  },
  line: { flexGrow: 1, margin: 0, whiteSpace: "pre-wrap", overflowWrap: "anywhere", fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200 },
});

/** One or more lines of `az`, with a button that copies them. */
export function AzLine({ lines, label = t.az.label }: { lines: string | string[]; label?: string }) {
  const styles = useStyles();
  const text = Array.isArray(lines) ? lines.join("\n") : lines;
  return (
    <div className={styles.box} role="group" aria-label={label}>
      <pre className={styles.line}>{text}</pre>
      <CopyButton value={text} what={label} />
    </div>
  );
}
