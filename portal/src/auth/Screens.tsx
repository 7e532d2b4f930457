import { Button, makeStyles, Text, Title3 } from "@fluentui/react-components";
import type { Fault } from "../api/fault";
import { t } from "../texts";

const useStyles = makeStyles({ page: { maxWidth: "560px", margin: "15vh auto", padding: "24px", display: "grid", gap: "16px", justifyItems: "start" } });

/** After signing out. */
export function SignedOut() {
  const styles = useStyles();
  return (
    <main className={styles.page}>
      <Title3 as="h1">{t.signIn.outTitle}</Title3>
      <Text>{t.signIn.outText}</Text>
      <Button appearance="primary" onClick={() => location.replace("/portal/")}>
        {t.signIn.button}
      </Button>
    </main>
  );
}

/** A sign-in that did not succeed. */
export function SignInFailed({ fault }: { fault: Fault }) {
  const styles = useStyles();
  return (
    <main className={styles.page}>
      <Title3 as="h1">{t.signIn.failedTitle}</Title3>
      <Text>{fault.message}</Text>
      <Text size={200}>{[fault.code, fault.requestId].filter((part) => part).join(", ")}</Text>
      <Button appearance="primary" onClick={() => location.replace("/portal/")}>
        {t.failure.again}
      </Button>
    </main>
  );
}
