import { makeStyles } from "@fluentui/react-components";
import type { Denied } from "../api/fault";
import { roleFor } from "../api/permissions";
import { useAccount } from "../auth/account";
import { azLine } from "../azLine";
import { t } from "../texts";
import { AzLine } from "./AzLine";

const useStyles = makeStyles({
  facts: { display: "grid", gridTemplateColumns: "max-content 1fr", columnGap: "12px", rowGap: "2px", margin: "8px 0", overflowWrap: "anywhere" },
  term: { fontWeight: 600 },
  value: { margin: 0 },
});

/** Which action on which scope is missing, and the command that grants it. */
export default function RefusedFacts({ denied, data = false }: { denied: Denied; data?: boolean }) {
  const styles = useStyles();
  const account = useAccount();
  const line =
    denied.command ??
    azLine("role assignment create", {
      "assignee": denied.principal ?? account.objectId,
      "role": roleFor(denied.action, data),
      "scope": denied.scope,
    });
  return (
    <>
      <dl className={styles.facts}>
        <dt className={styles.term}>{t.refused.action}</dt>
        <dd className={styles.value}>{denied.action}</dd>
        <dt className={styles.term}>{t.refused.scope}</dt>
        <dd className={styles.value}>{denied.scope}</dd>
      </dl>
      <div>{t.refused.grant}</div>
      <AzLine lines={line} />
    </>
  );
}
