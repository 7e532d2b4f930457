import { Button, makeStyles, Spinner, Table, TableBody, TableCell, TableHeader, TableHeaderCell, TableRow, Text } from "@fluentui/react-components";
import { useNavigate, useParams } from "react-router";
import { Fault } from "../../api/fault";
import { pageOf, parseId } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { Failure } from "../../frames/Failure";
import { Page } from "../../frames/Page";
import { onwards } from "../../shell/Bell";
import { nextStep, standing, type Deployment, type Step } from "../../shell/deployments";
import { useClock } from "../../shell/useClock";
import { deployments, useDeployments } from "../../shell/useDeployments";
import { t } from "../../texts";

const useStyles = makeStyles({
  buttons: { display: "flex", gap: "8px", flexWrap: "wrap", margin: "16px 0" },
  table: { maxWidth: "960px", margin: "12px 0" },
  state: { display: "flex", gap: "6px", alignItems: "center" },
});

/** What a wizard began: a line for each step, and the way on. */
export default function DeploymentPage() {
  const { id } = useParams();
  const found = useDeployments().find((each) => each.id === id);
  if (!found) {
    return (
      <Page title={t.bell.title}>
        <Text>{t.deployment.gone}</Text>
      </Page>
    );
  }
  return <Steps deployment={found} />;
}

function Steps({ deployment }: { deployment: Deployment }) {
  const styles = useStyles();
  const navigate = useNavigate();
  const state = standing(deployment);
  const now = useClock(state === "running");
  const titles = { running: t.deployment.running, done: t.deployment.done, failed: t.deployment.failed, unknown: t.deployment.unknown };
  const next = nextStep(deployment);
  const lost = !next && !deployment.elsewhere && state !== "done";
  const { target, form } = deployment;
  return (
    <Page title={titles[state](deployment.title)}>
      <Table size="small" className={styles.table} aria-label={t.deployment.steps} aria-busy={state === "running"}>
        <TableHeader>
          <TableRow>
            <TableHeaderCell>{t.deployment.step}</TableHeaderCell>
            <TableHeaderCell>{t.deployment.state}</TableHeaderCell>
            <TableHeaderCell>{t.deployment.took}</TableHeaderCell>
          </TableRow>
        </TableHeader>
        <TableBody>
          {deployment.steps.map((step, at) => (
            <StepRow key={at} step={step} now={now} />
          ))}
        </TableBody>
      </Table>
      {deployment.steps.map((step, at) => (
        <StepResult key={at} step={step} />
      ))}
      {lost && <Text>{t.deployment.secret}</Text>}
      {deployment.elsewhere && state !== "done" && <Text>{t.bell.elsewhere}</Text>}
      <div className={styles.buttons}>
        {state === "done" && target && (
          <Button appearance="primary" onClick={() => void navigate(target)}>
            {onwards(deployment)}
          </Button>
        )}
        {(state === "failed" || state === "unknown") && next && (
          <Button appearance="primary" onClick={() => deployments.again(deployment.id)}>
            {next.operation ? t.deployment.ask : t.deployment.again}
          </Button>
        )}
        {(state === "failed" || state === "unknown") && form && <Button onClick={() => void navigate(form.path)}>{t.deployment.change}</Button>}
      </div>
    </Page>
  );
}

function StepRow({ step, now }: { step: Step; now: number }) {
  const styles = useStyles();
  const seconds = step.began === undefined ? "" : t.bell.seconds(Math.max(0, Math.round(((step.ended ?? now) - step.began) / 1000)));
  return (
    <TableRow>
      <TableCell>{step.title}</TableCell>
      <TableCell>
        <span className={styles.state}>
          {step.state === "running" && <Spinner size="extra-tiny" aria-hidden />}
          {t.deployment.states[step.state]}
          {step.note && ` (${step.note})`}
          {step.away && ` (${t.bell.away})`}
        </span>
      </TableCell>
      <TableCell>{seconds}</TableCell>
    </TableRow>
  );
}

/** The refusal of a step, and what became of its parts. */
function StepResult({ step }: { step: Step }) {
  const styles = useStyles();
  const parts = step.parts ?? [];
  return (
    <>
      {step.fault && parts.length === 0 && <Failure fault={new Fault({ ...step.fault, details: parts.length > 0 ? [] : (step.fault.details ?? []) })} />}
      {parts.length > 0 && (
        <Table size="small" className={styles.table} aria-label={t.deployment.parts}>
          <TableBody>
            {parts.map((part) => (
              <TableRow key={part.id}>
                <TableCell>{parseId(part.id) ? <AppLink to={pageOf(part.id)}>{parseId(part.id)?.name}</AppLink> : part.id}</TableCell>
                <TableCell>
                  {part.status}
                  {part.error && <Failure fault={new Fault({ status: 409, code: part.error.code, message: part.error.message })} />}
                </TableCell>
              </TableRow>
            ))}
          </TableBody>
        </Table>
      )}
    </>
  );
}
