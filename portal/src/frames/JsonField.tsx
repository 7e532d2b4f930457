import { Field, makeStyles, Textarea } from "@fluentui/react-components";
import { cutText } from "../wellFormed";

const useStyles = makeStyles({ area: { maxWidth: "640px", marginBottom: "12px" }, mono: { fontFamily: "monospace" } });

/** Longest text that is taken, characters: a paste by mistake does not stop the page. */
const LONGEST = 100_000;

export default function JsonField({ label, value, fault, onChange, rows = 8 }: { label: string; value: string; fault: string | undefined; onChange: (value: string) => void; rows?: number }) {
  const styles = useStyles();
  return (
    <Field className={styles.area} label={label} {...(fault ? { validationState: "error" as const, validationMessage: fault } : {})}>
      <Textarea textarea={{ className: styles.mono, rows, spellCheck: false }} resize="vertical" value={value} onChange={(_, data) => onChange(cutText(data.value, LONGEST))} />
    </Field>
  );
}
