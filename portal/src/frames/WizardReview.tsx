/** The last tab of a wizard: what will be done in words, as lines of `az` and as JSON. */

import { Link, makeStyles, Text } from "@fluentui/react-components";
import type { ReactNode } from "react";
import { t } from "../texts";
import { AzLine } from "./AzLine";
import { JsonView } from "./JsonView";

const useStyles = makeStyles({
  section: { marginBottom: "16px" },
  head: { display: "flex", gap: "12px", alignItems: "baseline" },
  lines: { display: "grid", gridTemplateColumns: "minmax(140px, 240px) 1fr", rowGap: "4px", columnGap: "16px", margin: "4px 0" },
  value: { margin: 0, overflowWrap: "anywhere" },
  block: { marginTop: "12px" },
});

export interface ReviewProps {
  tabs: { id: string; label: string; review: [string, ReactNode][] }[];
  az: string[];
  json: unknown;
  /** Name of the file that the JSON is saved in. */
  name: string;
  /** How many fields are wrong. */
  wrong: number;
  go: (tab: string) => void;
}

export default function WizardReview({ tabs, az, json, name, wrong, go }: ReviewProps) {
  const styles = useStyles();
  return (
    <div>
      {wrong > 0 && <Text>{t.wizard.wrong(wrong)}</Text>}
      {tabs.map((tab) => (
        <section key={tab.id} className={styles.section}>
          <div className={styles.head}>
            <Text as="h2" weight="semibold" size={400}>
              {tab.label}
            </Text>
            <Link as="button" onClick={() => go(tab.id)} aria-label={t.wizard.editTab(tab.label)}>
              {t.wizard.edit}
            </Link>
          </div>
          <dl className={styles.lines}>
            {tab.review.map(([label, value]) => (
              <ReviewLine key={label} label={label} value={value} />
            ))}
          </dl>
        </section>
      ))}
      <Text as="h2" weight="semibold" size={400}>
        {t.az.heading}
      </Text>
      <AzLine lines={az} />
      <div className={styles.block}>
        <Text as="h2" weight="semibold" size={400} block>
          {t.json.heading}
        </Text>
        <JsonView value={json} name={name} />
      </div>
    </div>
  );
}

function ReviewLine({ label, value }: { label: string; value: ReactNode }) {
  const styles = useStyles();
  return (
    <>
      <dt>{label}</dt>
      <dd className={styles.value}>{value}</dd>
    </>
  );
}
