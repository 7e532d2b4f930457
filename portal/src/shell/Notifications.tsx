/** The bell: each write in progress, how far it is, and what came of it. */

import { Button, makeStyles, ProgressBar, Text, tokens } from "@fluentui/react-components";
import { CheckmarkCircleRegular, ErrorCircleRegular, QuestionCircleRegular } from "@fluentui/react-icons";
import { Fault } from "../api/fault";
import { parseId } from "../api/resourceId";
import { AppLink } from "../frames/AppLink";
import { Failure } from "../frames/Failure";
import { Pane } from "../frames/Pane";
import { t } from "../texts";
import { onwards, resultOf } from "./Bell";
import { standing, type Deployment } from "./deployments";
import { useClock } from "./useClock";
import { deployments, useDeployments } from "./useDeployments";

const useStyles = makeStyles({
  item: { padding: "12px 0", borderBottom: `1px solid ${tokens.colorNeutralStroke2}` },
  head: { display: "flex", gap: "8px", alignItems: "center" },
  bad: { color: tokens.colorPaletteRedForeground1 },
  good: { color: tokens.colorPaletteGreenForeground1 },
  foot: { display: "flex", gap: "12px", flexWrap: "wrap", alignItems: "center", marginTop: "6px" },
});

export function NotificationsPane({ open, onClose }: { open: boolean; onClose: () => void }) {
  const list = useDeployments();
  return (
    <Pane
      open={open}
      title={t.bell.title}
      onClose={onClose}
      footer={
        <Button onClick={() => deployments.dismiss()} disabled={list.every((each) => !each.ended)}>
          {t.bell.dismissAll}
        </Button>
      }
    >
      {list.length === 0 && <Text>{t.bell.none}</Text>}
      {list.map((each) => (
        <Notification key={each.id} deployment={each} onClose={onClose} />
      ))}
    </Pane>
  );
}

/** The mark of how it stands. */
export function StandingIcon({ deployment }: { deployment: Deployment }) {
  const styles = useStyles();
  const state = standing(deployment);
  if (state === "failed") return <ErrorCircleRegular className={styles.bad} aria-label={t.bell.failed} />;
  if (state === "unknown") return <QuestionCircleRegular aria-label={t.bell.unknown} />;
  if (state === "done") return <CheckmarkCircleRegular className={styles.good} aria-label={t.bell.done} />;
  return null;
}

function Notification({ deployment, onClose }: { deployment: Deployment; onClose: () => void }) {
  const styles = useStyles();
  const now = useClock(!deployment.ended);
  const current = deployment.steps.find((step) => step.state === "running") ?? deployment.steps.find((step) => step.state === "waiting");
  const done = deployment.steps.filter((step) => step.state === "done").length;
  const fault = deployment.steps.find((step) => step.fault)?.fault;
  const parts = deployment.ended ? deployment.steps.flatMap((step) => step.parts ?? []) : [];
  const seconds = Math.max(0, Math.round(((deployment.ended ?? now) - deployment.began) / 1000));
  return (
    <article className={styles.item} aria-label={deployment.title}>
      <div className={styles.head}>
        <StandingIcon deployment={deployment} />
        <Text weight="semibold">{deployment.title}</Text>
      </div>
      {!deployment.ended && (
        <ProgressBar
          aria-label={deployment.title}
          {...(current?.percent !== undefined ? { value: current.percent / 100 } : deployment.steps.length > 1 ? { value: done / deployment.steps.length } : {})}
        />
      )}
      <Text size={200} block>
        {deployment.ended ? resultOf(deployment) : `${current?.title ?? ""} (${done + 1}/${deployment.steps.length})`}, {t.bell.seconds(seconds)}
        {current?.away && !deployment.ended && `, ${t.bell.away}`}
      </Text>
      {fault && parts.length === 0 && <Failure fault={new Fault(fault)} />}
      {parts.length > 0 && (
        <ul>
          {parts.map((part) => (
            <li key={part.id}>
              {parseId(part.id)?.name ?? part.id}: {part.status}
              {part.error && <Failure fault={new Fault({ status: 409, code: part.error.code, message: part.error.message })} />}
            </li>
          ))}
        </ul>
      )}
      <div className={styles.foot}>
        <AppLink to={`/deployments/${deployment.id}`} onFollowed={onClose}>
          {t.bell.details}
        </AppLink>
        {deployment.target && standing(deployment) === "done" && (
          <AppLink to={deployment.target} onFollowed={onClose}>
            {onwards(deployment)}
          </AppLink>
        )}
        {deployment.ended && (
          <Button size="small" appearance="subtle" onClick={() => deployments.dismiss(deployment.id)}>
            {t.bell.dismiss}
          </Button>
        )}
      </div>
    </article>
  );
}
