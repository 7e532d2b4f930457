/** The panes of the top bar. */

import { Button, makeStyles, Radio, RadioGroup, Text } from "@fluentui/react-components";
import { useState } from "react";
import { asFault } from "../api/fault";
import { useAccount } from "../auth/account";
import { signOut } from "../auth/signIn";
import { AppLink } from "../frames/AppLink";
import { Failure } from "../frames/Failure";
import { Pane } from "../frames/Pane";
import { t } from "../texts";
import { SHORTCUTS } from "../textsHelp";
import { iconOf } from "./icons";
import { NotificationsPane } from "./Notifications";
import { SERVICES } from "./services";
import { chooseTheme, useTheme, type Choice } from "./theme";

export type Open = "none" | "services" | "bell" | "help" | "settings" | "account";

const useStyles = makeStyles({
  services: { listStyleType: "none", padding: 0, margin: 0 },
  service: { display: "flex", gap: "10px", alignItems: "center", padding: "6px 0" },
  keys: { display: "grid", gridTemplateColumns: "max-content 1fr", columnGap: "16px", rowGap: "6px", margin: 0 },
  meaning: { margin: 0 },
  account: { display: "grid", gap: "8px", justifyItems: "start", overflowWrap: "anywhere" },
});

export default function Panes({ open, onClose }: { open: Open; onClose: () => void }) {
  return (
    <>
      <Pane open={open === "services"} title={t.shell.allServices} onClose={onClose}>
        <Services onClose={onClose} />
      </Pane>
      <NotificationsPane open={open === "bell"} onClose={onClose} />
      <Pane open={open === "settings"} title={t.shell.settings} onClose={onClose}>
        <Settings />
      </Pane>
      <Pane open={open === "account"} title={t.shell.accountTitle} onClose={onClose}>
        <Account />
      </Pane>
      <Pane open={open === "help"} title={t.help.title} onClose={onClose}>
        <Keys />
      </Pane>
    </>
  );
}

function Services({ onClose }: { onClose: () => void }) {
  const styles = useStyles();
  return (
    <ul className={styles.services}>
      {SERVICES.map((service) => (
        <li key={service.id} className={styles.service}>
          <span aria-hidden>{iconOf(service.icon)}</span>
          <AppLink to={service.path} onFollowed={onClose}>
            {service.name}
          </AppLink>
        </li>
      ))}
    </ul>
  );
}

function Settings() {
  const { choice } = useTheme();
  return (
    <RadioGroup aria-label={t.shell.theme} value={choice} onChange={(_, data) => chooseTheme(data.value as Choice)}>
      {(["system", "light", "dark"] as const).map((each) => (
        <Radio key={each} value={each} label={t.shell.themes[each]} />
      ))}
    </RadioGroup>
  );
}

function Account() {
  const styles = useStyles();
  const account = useAccount();
  const [failed, setFailed] = useState<unknown>(undefined);
  const leave = () => {
    setFailed(undefined);
    signOut().catch(setFailed);
  };
  return (
    <div className={styles.account}>
      <Text weight="semibold">{account.name}</Text>
      <Text>{account.userName}</Text>
      <Text size={200}>{t.shell.objectId(account.objectId)}</Text>
      <Text size={200}>{t.shell.tenant(account.tenantId)}</Text>
      {failed !== undefined && <Failure fault={asFault(failed)} retry={leave} />}
      <Button appearance="primary" onClick={leave}>
        {t.shell.signOut}
      </Button>
    </div>
  );
}

function Keys() {
  const styles = useStyles();
  return (
    <dl className={styles.keys}>
      {SHORTCUTS.map(([key, meaning]) => (
        <KeyLine key={key} name={key} meaning={meaning} />
      ))}
    </dl>
  );
}

function KeyLine({ name, meaning }: { name: string; meaning: string }) {
  const styles = useStyles();
  return (
    <>
      <dt>
        <kbd>{name}</kbd>
      </dt>
      <dd className={styles.meaning}>{meaning}</dd>
    </>
  );
}
