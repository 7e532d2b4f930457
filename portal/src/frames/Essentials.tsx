import { Button, makeStyles, tokens } from "@fluentui/react-components";
import { ChevronDownRegular, ChevronUpRegular } from "@fluentui/react-icons";
import { useId, useState, type ReactNode } from "react";
import { t } from "../texts";
import { AppLink } from "./AppLink";
import { CopyButton } from "./CopyButton";

/** A fact of a resource. */
export interface Fact {
  label: string;
  /** Text that is shown and copied. */
  value: string | undefined;
  /** Page that it leads to. */
  to?: string | undefined;
  /** Shown in the place of the text. */
  show?: ReactNode;
}

const useStyles = makeStyles({
  box: { borderBottom: `1px solid ${tokens.colorNeutralStroke2}`, paddingBottom: "12px", marginBottom: "16px" },
  head: { display: "flex", justifyContent: "space-between", alignItems: "center", flexWrap: "wrap" },
  facts: {
    display: "grid",
    gridTemplateColumns: "repeat(auto-fill, minmax(min(420px, 100%), 1fr))",
    columnGap: "32px",
    rowGap: "2px",
    margin: 0,
  },
  fact: { display: "grid", gridTemplateColumns: "170px 1fr", alignItems: "center", minHeight: "28px" },
  term: { color: tokens.colorNeutralForeground2 },
  value: { margin: 0, display: "flex", alignItems: "center", overflowWrap: "anywhere", minWidth: 0 },
});

/** The facts of a resource, each with a button that copies it; the whole can be folded away. */
export function Essentials({ facts, aside }: { facts: Fact[]; aside?: ReactNode }) {
  const styles = useStyles();
  const [open, setOpen] = useState(true);
  const id = useId();
  return (
    <section className={styles.box} aria-label={t.essentials.label}>
      <div className={styles.head}>
        <Button
          appearance="transparent"
          icon={open ? <ChevronUpRegular /> : <ChevronDownRegular />}
          aria-expanded={open}
          aria-controls={id}
          onClick={() => setOpen(!open)}
        >
          {t.essentials.label}
        </Button>
        {aside}
      </div>
      <dl id={id} className={styles.facts} hidden={!open}>
        {open &&
          facts.map((fact) => (
            <div key={fact.label} className={styles.fact}>
              <dt className={styles.term}>{fact.label}</dt>
              <dd className={styles.value}>
                <span>{fact.show ?? (fact.to && fact.value ? <AppLink to={fact.to}>{fact.value}</AppLink> : fact.value || "–")}</span>
                {fact.value && <CopyButton value={fact.value} what={fact.label} />}
              </dd>
            </div>
          ))}
      </dl>
    </section>
  );
}
