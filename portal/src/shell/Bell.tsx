/** The bell of the top bar, and the words for how something ended. */

import { Button, makeStyles, tokens } from "@fluentui/react-components";
import { AlertRegular } from "@fluentui/react-icons";
import { t } from "../texts";
import { standing, type Deployment } from "./deployments";
import { useDeployments } from "./useDeployments";

const useStyles = makeStyles({
  bell: { position: "relative", display: "inline-flex" },
  count: {
    position: "absolute",
    top: 0,
    right: 0,
    minWidth: "16px",
    textAlign: "center",
    pointerEvents: "none",
    fontSize: tokens.fontSizeBase100,
    fontWeight: tokens.fontWeightSemibold,
    borderRadius: tokens.borderRadiusCircular,
    color: tokens.colorNeutralForegroundOnBrand,
    backgroundColor: tokens.colorStatusDangerBackground3,
  },
});

/** What leads on from a deployment to its target: what was deleted has no page any more. */
export function onwards(deployment: Deployment): string {
  return deployment.steps.every((step) => step.method === "DELETE") ? t.deployment.goToList : t.deployment.go;
}

/** The result in words; where an operation has parts, how many of them went well. */
export function resultOf(deployment: Deployment): string {
  const parts = deployment.steps.flatMap((step) => step.parts ?? []);
  const state = standing(deployment);
  if (deployment.elsewhere && state === "unknown") return t.bell.elsewhere;
  if (parts.length > 0) {
    const good = parts.filter((part) => part.status === "Succeeded").length;
    const synchronized = deployment.steps.some((step) => step.path.includes("/synchronize"));
    return synchronized ? t.policies.synchronized(good, parts.length) : t.bell.parts(good, parts.length);
  }
  return state === "done" ? t.bell.done : state === "failed" ? t.bell.failed : t.bell.unknown;
}

/** The bell with the number of those that nobody looked at. */
export function Bell({ onOpen }: { onOpen: () => void }) {
  const styles = useStyles();
  const fresh = useDeployments().filter((each) => !each.seen).length;
  return (
    <span className={styles.bell}>
      <Button appearance="subtle" icon={<AlertRegular />} onClick={onOpen} aria-label={t.bell.button(fresh)} />
      {fresh > 0 && (
        <span className={styles.count} aria-hidden>
          {String(fresh)}
        </span>
      )}
    </span>
  );
}
